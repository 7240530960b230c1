"use strict";
// What the report and the explorer share: numbers in words, values in colours, windows under a pixel.
const eyeline = (() => {
  const decoded = new Map();
  /** An array from base64 of its bytes; kept, as a report asks again and again. */
  const numbers = (text, Kind, keep = true) => {
    if (decoded.has(text)) return decoded.get(text);
    const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
    const made = new Kind(bytes.buffer);
    if (keep) decoded.set(text, made);
    return made;
  };

  const words = (value, digits = 4) => {
    if (value === 0) return "0";
    return String(Number(value.toPrecision(digits))).replace(/-/g, "\u2212");
  };
  const percent = (share) => `${Number((share * 100).toPrecision(3))} %`;

  let colours = null;
  /** Take the colour tables of the pictures. */
  const paint = (tables) => {
    colours = { sequential: numbers(tables.sequential, Uint8Array), for: tables.for, against: tables.against };
  };

  /** Put the colour of a value over a pixel, as the pictures do. */
  function shade(target, at, red, green, blue, value, limit, opacity) {
    const fraction = limit.high ? Math.max(-1, Math.min(1, value / limit.high)) : 0;
    const alpha = Math.abs(fraction) ** 0.8;
    const luma = (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
    const entry = Math.round(Math.abs(fraction) * 512) * 3;
    const original = [red, green, blue];
    for (let channel = 0; channel < 3; channel++) {
      const tint = limit.signed
        ? (fraction < 0 ? colours.against : colours.for)[channel]
        : colours.sequential[entry + channel] / 255;
      const drawn = (0.12 + 0.8 * luma) * (1 - alpha) + tint * (0.45 + 0.8 * luma) * alpha;
      target[at + channel] = Math.round(original[channel] * (1 - opacity) + 255 * Math.min(drawn, 1) * opacity);
    }
    target[at + 3] = 255;
  }

  /** Draw a map over its picture; where a value is no number yet, the picture is left as it is. */
  function composite(context, source, columns, times, values, limit, opacity) {
    const { width, height } = source, out = context.createImageData(width, height);
    out.data.set(source.data);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const at = (row * width + column) * 4;
        const value = values[Math.floor(row / times) * columns + Math.floor(column / times)];
        if (Number.isNaN(value)) continue;
        shade(out.data, at, source.data[at], source.data[at + 1], source.data[at + 2], value, limit, opacity);
      }
    }
    context.putImageData(out, 0, 0);
  }

  /** Draw the colour bar of a limit; return its lowest value. */
  function bar(canvas, limit) {
    const context = canvas.getContext("2d"), { width, height } = canvas;
    const low = limit.signed ? -limit.high : 0, out = context.createImageData(width, height);
    for (let at = 0; at < width * height; at++) {
      const value = low + ((limit.high - low) * (at % width)) / (width - 1);
      shade(out.data, at * 4, 128, 128, 128, value, limit, 1);
    }
    context.putImageData(out, 0, 0);
    return low;
  }

  /** The colours' end for maps that share it: the largest magnitude, or what 99 % of them (`most`) are at most. */
  function ends(maps, most) {
    const sizes = new Float64Array(maps.reduce((sum, values) => sum + values.length, 0));
    let next = 0, signed = false;
    for (const values of maps) {
      for (const each of values) {
        if (Number.isNaN(each)) continue;
        sizes[next++] = Math.abs(each);
        signed = signed || each < 0;
      }
    }
    const known = sizes.subarray(0, next), largest = known.reduce((most_, each) => Math.max(most_, each), 0);
    if (most) return { high: percentile(known) || largest, signed, count: maps.length, largest };
    const above = known.reduce((count, each) => count + (each > largest / 3), 0);
    return { high: largest, signed, count: maps.length, largest, sparse: 0 < above && above <= known.length / 100 };
  }

  /** What 99 % of some sizes are at most; between two of them where it falls between, as numpy has it. */
  function percentile(sizes) {
    if (!sizes.length) return 0;
    const sorted = sizes.slice().sort(), at = 0.99 * (sorted.length - 1), low = Math.floor(at);
    return sorted[low] + (at - low) * (sorted[Math.ceil(at)] - sorted[low]);
  }

  /** How the colours' end was chosen, as the legend of a picture has it. */
  function scaled(limit, all = `all ${limit.count} maps`) {
    if (limit.high < limit.largest) {
      const maps = limit.count > 1 ? all : "this map";
      return `percentile 99 of ${maps}; values beyond (up to ${words(limit.largest)}) drawn as the limit`;
    }
    const few = limit.sparse ? "; 99 % of the values lie below a third of it" : "";
    return (limit.count > 1 ? `one scale for ${all}` : "scaled to this map") + few;
  }

  /** How many windows cover a pixel, and the one whose middle is nearest. */
  function nearest(boxes, row, column) {
    let best = -1, least = Infinity, count = 0;
    for (let window = 0; window * 4 < boxes.length; window++) {
      const [top, bottom, left, right] = boxes.subarray(window * 4, window * 4 + 4);
      if (row < top || row >= bottom || column < left || column >= right) continue;
      count += 1;
      const away = Math.hypot((top + bottom) / 2 - row - 0.5, (left + right) / 2 - column - 0.5);
      if (away < least) [best, least] = [window, away];
    }
    return { window: best, count, box: boxes.subarray(best * 4, best * 4 + 4) };
  }

  /** Draw a box that is seen on any ground. */
  function outline(context, factor, [top, bottom, left, right]) {
    for (const [width, colour] of [[4, "#000"], [2, "#fff"]]) {
      context.lineWidth = width;
      context.strokeStyle = colour;
      context.strokeRect(left * factor, top * factor, (right - left) * factor, (bottom - top) * factor);
    }
  }

  const span = (box) => `rows ${box[0]} to ${box[1] - 1}, columns ${box[2]} to ${box[3] - 1}`;

  return { numbers, words, percent, paint, shade, composite, bar, ends, scaled, nearest, outline, span };
})();
