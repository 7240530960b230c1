// Draws the report from the data in the page. Maps are laid from the windows' scores as the library lays them: sums in
// float64 in the order of the windows, one division, then float32; so a value here is the stored value.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const { numbers, words, percent, composite, outline, span } = eyeline;
  eyeline.paint(data.colours);
  const state = { image: 0, layer: 0, view: "class", first: null, second: null, scale: "own", most: false, opacity: 1, at: null };
  const pictures = data.images.map(() => null);
  let pixels = null; // the image at the size of the canvas, without the map
  let factor = 1;

  // numbers and words

  const title = (layer) =>
    layer.method + (layer.channel === undefined ? "" : `, channel ${layer.channel}`) + (layer.further ? `, ${layer.further}` : "");

  // maps

  /** What answers for several classes: the windows' scores, or a map of each class; nothing for other methods. */
  const answering = (layer) => layer.sweep ?? layer.laid;
  const held = (layer) => answering(layer).classes.map((each) => each.class);

  /** Weights over the held classes for a question. */
  function weights(layer, question) {
    const classes = held(layer);
    const row = new Float64Array(classes.length);
    if (question.view === "asked") {
      for (const [which, weight] of layer.weights) row[classes.indexOf(which)] = weight;
    } else {
      row[classes.indexOf(question.first)] += 1;
      if (question.view === "contrast") row[classes.indexOf(question.second)] -= 1;
    }
    return row;
  }

  /** What each window contributes, in the unit of the scores. */
  function contributions(layer, question) {
    const sweep = layer.sweep, row = weights(layer, question);
    const scores = numbers(sweep.scores, Float32Array), reference = numbers(sweep.reference, Float32Array);
    const dot = (array, start) => row.reduce((sum, weight, k) => (weight ? sum + weight * array[start + k] : sum), 0);
    const clean = dot(reference, 0);
    return Float64Array.from({ length: scores.length / row.length }, (_, window) => {
      const covered = dot(scores, window * row.length);
      if (sweep.measure === "score") return covered;
      if (sweep.measure === "complement") return 1 - covered;
      return sweep.keep ? covered - clean : clean - covered;
    });
  }

  /** Values of windows or regions -> one per pixel. */
  const lay = (image, sweep, values, mean) => Float32Array.from(laid(image, sweep, values, mean));

  function laid(image, regions, values, mean) {
    if (regions.parts) return together(image, regions.parts, values, mean);
    if (regions.labels) return Float64Array.from(numbers(regions.labels, Int32Array), (label) => values[label]);
    const total = new Float64Array(image.rows * image.columns), weight = new Float64Array(total.length);
    const boxes = numbers(regions.boxes, Int32Array), share = regions.share ? numbers(regions.share, Float64Array) : null;
    for (let window = 0; window < values.length; window++) {
      const [top, bottom, left, right] = boxes.subarray(window * 4, window * 4 + 4);
      for (let row = top; row < bottom; row++) {
        for (let column = left; column < right; column++) {
          const part = share ? share[(row - top) * regions.width + column - left] : 1, at = row * image.columns + column;
          total[at] += values[window] * part;
          weight[at] += part;
        }
      }
    }
    return mean ? total.map((sum, at) => sum / (weight[at] > 0 ? weight[at] : 1)) : total;
  }

  /** The mean of what each of several sweeps gives a pixel. */
  function together(image, parts, values, mean) {
    const sum = new Float64Array(image.rows * image.columns);
    let start = 0;
    for (const part of parts) {
      laid(image, part, values.subarray(start, start + part.count), mean).forEach((each, at) => (sum[at] += each));
      start += part.count;
    }
    return sum.map((each) => each / parts.length);
  }

  const made = new Map();
  /** The map of a question: values, and for flips the class that wins. */
  function map(index, number, question) {
    const image = data.images[index], layer = image.layers[number];
    const key = [index, number, answering(layer) ? [question.view, question.first, question.second] : ""].join();
    if (!made.has(key)) made.set(key, layer.sweep ? swept(image, layer, question) : { values: ready(image, layer, question) });
    return made.get(key);
  }

  /** A map that was laid before. */
  function ready(image, layer, question) {
    if (!layer.laid || question.view !== "class" || question.first === asked(layer).first) return numbers(layer.map, Float32Array);
    const size = image.rows * image.columns, place = held(layer).indexOf(question.first);
    return numbers(layer.laid.maps, Float32Array).subarray(place * size, (place + 1) * size);
  }

  function swept(image, layer, question) {
    const sweep = layer.sweep;
    if (question.view !== "flips") {
      return { values: lay(image, sweep, contributions(layer, question), sweep.overlap === "mean") };
    }
    const winners = numbers(sweep.winners, Int32Array);
    const flips = (test) => Float64Array.from(winners, (each) => (each !== sweep.top && test(each) ? 1 : 0));
    const values = lay(image, sweep, flips(() => true), true);
    const to = new Int32Array(values.length).fill(-1), most = new Float32Array(values.length);
    for (const which of [...new Set(winners)].sort((a, b) => a - b)) {
      const count = lay(image, sweep, flips((each) => each === which), true);
      count.forEach((each, at) => {
        if (each > most[at]) [to[at], most[at]] = [which, each];
      });
    }
    return { values, to };
  }

  /** The question that a layer was asked when it was made. */
  function asked(layer) {
    if (!answering(layer)) return { view: "map" };
    const [one, other] = [...layer.weights].sort((a, b) => b[1] - a[1]);
    if (layer.weights.length === 1 && one[1] === 1) return { view: "class", first: one[0] };
    if (layer.sweep && layer.weights.length === 2 && one[1] === 1 && other[1] === -1) {
      return { view: "contrast", first: one[0], second: other[0] };
    }
    return { view: "asked" };
  }

  const current = () => data.images[state.image].layers[state.layer];
  const question = () => (answering(current()) ? state : { view: "map" });

  const limits = new Map();
  /** Limit and style of what is shown: of this map, or of all images' maps of the same method and question. */
  function scale() {
    if (state.view === "flips" && current().sweep) return { high: 1, signed: false, count: 1 };
    const { image, layer, view, first, second, scale, most } = state, key = [image, layer, view, first, second, scale, most].join();
    if (!limits.has(key)) limits.set(key, limit());
    return limits.get(key);
  }

  function limit() {
    const own = map(state.image, state.layer, question()).values;
    const all = state.scale === "own" ? [own] : data.images.flatMap((image, index) => {
      const number = image.layers.findIndex((each) => alike(each, current()));
      return number < 0 ? [] : [map(index, number, put(image.layers[number])).values];
    });
    return eyeline.ends(all, state.most);
  }

  const alike = (one, other) => ["title", "quantity", "settings"].every((part) =>
    JSON.stringify(part === "title" ? title(one) : one[part]) === JSON.stringify(part === "title" ? title(other) : other[part]));

  /** The question on the screen, put to another image's layer: its own where this one's own is shown. */
  function put(layer) {
    if (!answering(layer)) return { view: "map" };
    const own = Object.entries(asked(current())).every(([key, value]) => state[key] === value);
    return own || !answers(layer, state) ? asked(layer) : state;
  }

  const answers = (layer, { view, first, second }) => {
    const classes = held(layer);
    if (layer.laid) return view === "class" && classes.includes(first);
    return view === "flips" || (classes.includes(first) && (view !== "contrast" || classes.includes(second)));
  };

  async function picture(index) {
    if (!pictures[index]) {
      const image = new Image();
      image.src = `data:image/png;base64,${data.images[index].picture}`;
      await image.decode();
      pictures[index] = image;
    }
    return pictures[index];
  }

  function draw() {
    const image = data.images[state.image], context = $("canvas").getContext("2d");
    const found = map(state.image, state.layer, question()), limit = scale();
    composite(context, pixels, image.columns, factor, found.values, limit, state.opacity);
    legend(limit);
    point(context, image, found);
  }

  function legend(limit) {
    const layer = current(), low = eyeline.bar($("bar"), limit);
    const flips = layer.sweep && state.view === "flips";
    const unit = answering(layer) && !flips ? ` ${layer.unit}` : "";
    $("low").textContent = words(low);
    $("middle").textContent = limit.signed ? "0" : "";
    $("high").textContent = (limit.signed ? "+" : "") + words(limit.high) + unit;
    const none = flips && !map(state.image, state.layer, state).values.some((each) => each > 0);
    const chosen = flips ? (none ? `no ${layer.sweep.word} does` : `from no ${layer.sweep.word} to every one`) : eyeline.scaled(limit);
    const signs = !limit.signed ? "" : layer.sweep && layer.sweep.measure === "drop"
      ? ` Red supports ${aim()}, blue counts against it.` : " Red is above 0, blue below.";
    $("quantity").textContent = `${measured()}; ${chosen}.${signs}`;
    $("bar").setAttribute("aria-label", `Colours from ${words(low)} to ${words(limit.high)}: ${measured()}`);
  }

  const name = (which) => answering(current()).classes.find((each) => each.class === which).name;
  function aim() {
    const layer = current();
    if (!answering(layer) || state.view === "asked") return layer.target;
    if (state.view === "contrast") return `${name(state.first)} rather than ${name(state.second)}`;
    return name(state.first);
  }
  function measured() {
    const layer = current();
    if (!layer.sweep || state.view !== "flips") return `${layer.quantity}, for ${aim()}`;
    const state_ = layer.sweep.keep ? "seen alone" : "covered";
    return `share of the ${layer.sweep.word}s on a pixel that, ${state_}, make another class the best`;
  }

  // pointing

  /** The region of a pixel, or the windows on it. */
  function under(image, sweep, row, column) {
    const boxes = numbers(sweep.boxes, Int32Array);
    if (!sweep.labels) return eyeline.nearest(boxes, row, column);
    const label = numbers(sweep.labels, Int32Array)[row * image.columns + column];
    return { window: label, count: 1, box: boxes.subarray(label * 4, label * 4 + 4) };
  }

  function point(context, image, found) {
    const readout = $("readout");
    if (!state.at) {
      readout.textContent = "";
      readout.removeAttribute("data-value");
      return;
    }
    const [row, column] = state.at, layer = current(), value = found.values[row * image.columns + column];
    readout.dataset.value = String(value);
    const where = `Row ${row}, column ${column}`, flips = layer.sweep && state.view === "flips";
    let text = flips ? `${where}: ${percent(value)} of the ${layer.sweep.word}s here change the best class` : `${where}: ${words(value, 6)}`;
    text += answering(layer) && !flips ? ` ${layer.unit}` : "";
    outline(context, factor, [row, row + 1, column, column + 1]);
    if (layer.sweep) {
      const near = under(image, layer.sweep, row, column), { word } = layer.sweep;
      if (near.window < 0) text += `; no ${word} covers this pixel`;
      else {
        outline(context, factor, near.box);
        const window = span(near.box);
        if (flips) {
          const to = found.to[row * image.columns + column];
          text += to < 0 ? "" : `, most of them to ${layer.sweep.winnerNames[to]}`;
          text += `; ${word} ${window}: ${layer.sweep.winnerNames[numbers(layer.sweep.winners, Int32Array)[near.window]]}`;
        } else {
          const alone = words(contributions(layer, question())[near.window], 6);
          text += near.count > 1 ? `, ${layer.sweep.overlap} of ${near.count} ${word}s; the nearest (${window}): ${alone}` : ` (${word}: ${window})`;
        }
      }
    }
    readout.textContent = `${text}.`;
  }

  // controls

  const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });

  function choose(select, classes, value) {
    select.replaceChildren(...classes.map((each) => option(each.class, each.name)));
    select.value = value;
  }

  function layers() {
    const fields = data.images[state.image].layers.map((layer, number) => {
      const label = document.createElement("label"), input = document.createElement("input");
      label.className = "choice";
      Object.assign(input, { type: "radio", name: "layer", value: number, checked: number === state.layer });
      input.addEventListener("change", () => ((state.layer = number), ask(), show()));
      const size = layer.settings.window ? `, window ${layer.settings.window.replace(/[[\]]/g, "").replace(/, /g, " × ")}` : "";
      label.append(input, ` ${title(layer)}${size}: ${layer.target}`);
      return label;
    });
    $("layers").replaceChildren($("layers").firstElementChild, ...fields);
  }

  /** Set the question to what the layer was asked. */
  function ask() {
    Object.assign(state, { first: null, second: null }, asked(current()));
    const layer = current();
    if (!answering(layer)) return;
    const classes = held(layer), other = classes.find((each) => each !== state.first);
    state.first ??= classes[0];
    const top = layer.sweep?.top;
    state.second ??= top !== undefined && top !== state.first ? top : other ?? state.first;
  }

  function show() {
    const layer = current(), image = data.images[state.image], asked = answering(layer), many = asked?.classes.length > 1;
    $("views").hidden = !many;
    if (asked) {
      choose($("class"), asked.classes, state.first);
      choose($("other"), asked.classes, state.second);
      for (const each of document.getElementsByName("view")) {
        each.checked = each.value === state.view;
        each.parentElement.hidden = !layer.sweep && each.value !== "class"; // a map of each class says no more
      }
      $("first").hidden = state.view === "flips";
      $("second").hidden = state.view !== "contrast";
    }
    $("scales").hidden = many && state.view === "flips";
    for (const each of document.getElementsByName("scale")) {
      each.checked = each.value === state.scale;
      each.parentElement.hidden = data.images.length < 2;
    }
    $("most").checked = state.most;
    $("name").textContent = image.name;
    document.title = `${image.name}: eyeline report`;
    $("canvas").setAttribute("aria-label", `${image.name} with its map: ${measured()}`);
    predictions(image, layer);
    provenance(image, layer);
    draw();
  }

  function predictions(image, layer) {
    const largest = Math.max(...image.predictions.map((each) => Math.abs(each.score)));
    const rows = image.predictions.map((each) => {
      const button = document.createElement("button"), label = document.createElement("span");
      const value = document.createElement("span"), bar = document.createElement("span"), fill = document.createElement("span");
      const share = each.probability ?? (largest ? Math.abs(each.score) / largest : 0);
      [label.className, bar.className, button.type] = ["label", "bar", "button"];
      label.textContent = each.name;
      value.textContent = each.probability === undefined ? words(each.score) : percent(each.probability);
      if (image.unit === "log-odds") value.textContent += ` (log-odds ${words(each.score, 3)})`;
      fill.style.width = `${share * 100}%`;
      bar.append(fill);
      button.append(label, value, bar);
      button.disabled = !answering(layer) || !held(layer).includes(each.class);
      button.setAttribute("aria-pressed", String(!button.disabled && state.view === "class" && state.first === each.class));
      button.addEventListener("click", () => (Object.assign(state, { view: "class", first: each.class }), show()));
      return button;
    });
    $("predictions").replaceChildren(...rows);
    const scaleWords = image.unit === "score" ? "the score's magnitude, up to the largest shown" : "probability, from 0 to 1";
    $("bars").textContent = `Bars: ${scaleWords}.${answering(layer) ? " Choose a class to see what speaks for it." : ""}`;
  }

  function provenance(image, layer) {
    const lines = [
      ["method", title(layer)],
      ...Object.entries(layer.settings),
      ["target asked for", layer.target],
      ...layer.provenance,
      ...image.notes.map((each) => ["picture", each]),
    ];
    $("provenance").replaceChildren(...lines.map(([key, value]) => {
      const row = document.createElement("tr"), head = document.createElement("th"), cell = document.createElement("td");
      head.scope = "row";
      head.textContent = key;
      cell.textContent = value;
      row.append(head, cell);
      return row;
    }));
  }

  async function select(index) {
    const image = data.images[index], loaded = await picture(index), canvas = $("canvas");
    const same = image.layers.findIndex((each) => title(each) === title(current()));
    state.image = index;
    state.layer = Math.max(same, 0);
    state.at = null;
    factor = Math.max(1, Math.round(672 / Math.max(image.rows, image.columns)));
    canvas.width = image.columns * factor;
    canvas.height = image.rows * factor;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.imageSmoothingEnabled = Math.max(image.rows, image.columns) >= 128; // few pixels are shown as they are
    context.drawImage(loaded, 0, 0, canvas.width, canvas.height);
    pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    layers();
    ask();
    show();
    for (const each of $("thumbnails").children) each.setAttribute("aria-current", String(Number(each.dataset.index) === index));
  }

  // several images

  function sheet() {
    $("sheet").hidden = data.images.length < 2;
    if (data.images.length < 2) return;
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        seen.unobserve(entry.target);
        thumbnail(entry.target);
      }
    });
    data.images.forEach((image, index) => {
      const button = document.createElement("button"), canvas = document.createElement("canvas");
      button.type = "button";
      button.dataset.index = index;
      button.dataset.words = `${image.name} ${image.predictions[0].name} ${image.layers[0].target}`.toLowerCase();
      canvas.setAttribute("aria-hidden", "true");
      button.append(canvas, `${image.name}: ${image.predictions[0].name}`);
      button.addEventListener("click", () => select(index));
      $("thumbnails").append(button);
      seen.observe(button);
    });
    $("filter").addEventListener("input", filter);
    filter();
  }

  function filter() {
    const wanted = $("filter").value.trim().toLowerCase();
    let count = 0;
    for (const each of $("thumbnails").children) {
      each.hidden = !each.dataset.words.includes(wanted);
      count += each.hidden ? 0 : 1;
    }
    $("found").textContent = `${count} of ${data.images.length} images`;
  }

  async function thumbnail(button) {
    const index = Number(button.dataset.index), image = data.images[index], loaded = await picture(index);
    const canvas = button.querySelector("canvas"), context = canvas.getContext("2d");
    [canvas.width, canvas.height] = [image.columns, image.rows];
    context.drawImage(loaded, 0, 0);
    const values = map(index, 0, asked(image.layers[0])).values;
    const high = values.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    const limit = { high, signed: values.some((each) => each < 0) };
    composite(context, context.getImageData(0, 0, image.columns, image.rows), image.columns, 1, values, limit, 1);
  }

  // events

  function aimAt(row, column) {
    const image = data.images[state.image];
    state.at = [Math.max(0, Math.min(image.rows - 1, row)), Math.max(0, Math.min(image.columns - 1, column))];
    draw();
  }

  $("canvas").addEventListener("pointermove", (event) => {
    const box = $("canvas").getBoundingClientRect(), image = data.images[state.image];
    const row = Math.floor(((event.clientY - box.top - 1) / (box.height - 2)) * image.rows);
    const column = Math.floor(((event.clientX - box.left - 1) / (box.width - 2)) * image.columns);
    aimAt(row, column);
  });
  $("canvas").addEventListener("pointerleave", () => ((state.at = null), draw()));
  $("canvas").addEventListener("keydown", (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!move) return;
    event.preventDefault();
    const image = data.images[state.image], step = event.shiftKey ? 10 : 1;
    const [row, column] = state.at ?? [Math.floor(image.rows / 2), Math.floor(image.columns / 2)];
    aimAt(row + move[0] * step, column + move[1] * step);
  });
  $("opacity").addEventListener("input", () => {
    state.opacity = Number($("opacity").value) / 100;
    $("percent").textContent = `${$("opacity").value} %`;
    draw();
  });
  for (const name of ["view", "scale"]) {
    for (const each of document.getElementsByName(name)) {
      each.addEventListener("change", () => ((state[name] = each.value), show()));
    }
  }
  $("most").addEventListener("change", () => ((state.most = $("most").checked), show()));
  $("class").addEventListener("change", () => ((state.first = Number($("class").value)), state.view === "asked" && (state.view = "class"), show()));
  $("other").addEventListener("change", () => ((state.second = Number($("other").value)), show()));
  $("controls").addEventListener("submit", (event) => event.preventDefault());

  sheet();
  select(0);
})();
