// The explorer's page. What a visitor does is asked of the server over HTTP, one question of a kind at a time: while a
// mask is dragged, the next place is sent when the last answer is here, so that no place waits behind stale ones. Maps
// are fetched while they fill in, and drawn as the report draws them.

const { numbers, words, percent, composite, outline, span, nearest } = eyeline;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const over = (panel) => ["done", "stopped", "failed"].includes(panel.state);
let count = 0;

/** One control, with its definition behind a question mark. */
const field = {
  props: { control: Object, modelValue: String },
  emits: ["update:modelValue"],
  data: () => ({ id: `field-${(count += 1)}` }),
  template: `
    <div class="field">
      <label :for="id">{{ control.label }}</label>
      <details class="what"><summary :aria-label="'What ' + control.label + ' means'">?</summary><p>{{ control.definition }}</p></details>
      <select v-if="control.kind === 'choice'" :id="id" :value="modelValue" @change="$emit('update:modelValue', $event.target.value)">
        <option v-for="each in control.choices" :key="each" :value="each">{{ each }}</option>
      </select>
      <template v-else>
        <input :id="id" :value="modelValue" :placeholder="control.placeholder" :list="control.suggestions?.length ? id + '-list' : null"
          autocomplete="off" spellcheck="false" @change="$emit('update:modelValue', $event.target.value)">
        <datalist v-if="control.suggestions?.length" :id="id + '-list'"><option v-for="each in control.suggestions" :key="each" :value="each"></option></datalist>
      </template>
    </div>`,
};

/** The classes with bars: where they are now, a mark where they were. */
const bars = {
  props: { predictions: Array, chosen: String },
  emits: ["choose"],
  methods: {
    largest() {
      return Math.max(...this.predictions.flatMap((each) => [Math.abs(each.score), Math.abs(each.clean)])) || 1;
    },
    share(each, clean) {
      const share = clean ? each.cleanShare : each.share;
      return `${100 * (share ?? Math.abs(clean ? each.clean : each.score) / this.largest())}%`;
    },
    value(each) {
      const now = each.share === null ? words(each.score) : percent(each.share);
      const before = each.share === null ? words(each.clean) : percent(each.cleanShare);
      return now === before ? now : `${now} (was ${before})`;
    },
  },
  template: `
    <div class="bars">
      <button v-for="each in predictions" :key="each.class" type="button" :aria-pressed="String(String(each.class) === chosen)" @click="$emit('choose', each)">
        <span class="label">{{ each.name }}</span><span class="number">{{ value(each) }}</span>
        <span class="bar"><span class="fill" :style="{ width: share(each, false) }"></span><span class="mark" :style="{ left: share(each, true) }"></span></span>
      </button>
    </div>`,
};

const template = `
<div class="explorer">
  <header><h1>What the model looks at</h1><p class="faint">{{ setup.model }}</p></header>
  <main>
    <div class="error" role="alert"><p v-if="error">{{ error }} <button type="button" @click="error = ''">Close</button></p></div>
    <section aria-labelledby="one">
      <h2 id="one">1. A picture</h2>
      <div class="examples">
        <button v-for="each in setup.examples" :key="each.name" type="button" :aria-pressed="String(each.name === example)" @click="pick(each.name)">
          <img :src="each.picture" alt=""><span>{{ each.name }}</span>
        </button>
      </div>
      <label>Your own: choose it, or drop it on this page <input id="file" type="file" accept="image/*" @change="chosen"></label>
      <p class="faint">It is read in memory by the program that serves this page, and forgotten when the page is closed.</p>
    </section>
    <section aria-labelledby="two" v-show="image">
      <h2 id="two">2. Cover a part</h2>
      <div class="columns">
        <div>
          <canvas id="cover" ref="cover" tabindex="0" role="img" :aria-label="coverLabel()" aria-describedby="cover-keys"
            @pointerdown="press" @pointermove="move" @pointerup="release" @pointercancel="release" @keydown="keyed"></canvas>
          <p id="cover-keys" class="faint">{{ cover.shape === "painted" ? "Paint with the pointer, or with arrow keys and the space bar." : "Drag the mask, or focus the picture and use the arrow keys (with Shift: ten pixels)." }}</p>
          <p role="status" class="status">{{ status }}</p>
          <p v-for="each in image?.notes ?? []" :key="each" class="faint">{{ each }}</p>
        </div>
        <div>
          <div class="fields">
            <field v-for="name in ['shape', 'size', 'baseline']" :key="name" :control="setup.cover[name]" v-model="cover[name]"></field>
          </div>
          <p v-if="cover.shape === 'painted'"><button type="button" id="wipe" @click="wipe">Wipe what is painted</button></p>
          <h3>Predictions{{ isCovered ? ", with the part covered" : "" }}</h3>
          <bars :predictions="predictions" :chosen="question.first" @choose="choose"></bars>
          <p class="faint">Bars: {{ predictions[0]?.share === null ? "the score's magnitude" : "probability, 0 to 1" }}; the mark is where they were with nothing covered. Choose a class to explain it.</p>
        </div>
      </div>
    </section>
    <section aria-labelledby="three" v-show="image">
      <h2 id="three">3. Make a map</h2>
      <fieldset class="question"><legend>Question</legend>
        <div v-for="(label, name) in views" :key="name" class="choice"><label><input type="radio" name="view" :value="name" v-model="question.view"> {{ label }}</label>
          <details class="what"><summary :aria-label="'What this means: ' + label">?</summary><p>{{ setup.views[name] }}</p></details></div>
        <div class="fields" v-show="question.view !== 'flips'">
          <field :control="classControl('Class', 'The class that is explained: its name or its number.')" v-model="first"></field>
          <field v-show="question.view === 'contrast'" :control="classControl('rather than', 'The class that it is compared with: its name or its number.')" v-model="second"></field>
        </div>
      </fieldset>
      <p class="line"><label>Opacity of the maps <input id="opacity" type="range" min="0" max="100" v-model.number="opacity" @input="drawMaps"></label>
        <label><input id="two-maps" type="checkbox" v-model="isTwo"> two maps side by side</label>
        <label v-show="isTwo"><input id="one-scale" type="checkbox" v-model="isShared" @change="drawMaps"> one scale for both</label>
        <label><input id="most" type="checkbox" v-model="isMost" @change="drawMaps"> to the 99th percentile, so that a few large values do not hide the rest</label></p>
      <div :class="{ columns: isTwo }">
        <div v-for="(panel, k) in panels" v-show="k === 0 || isTwo" :key="k" role="group" :aria-label="k ? 'Second map' : 'First map'" class="panel">
          <div><div class="fields"><field :control="methodControl(panel)" :model-value="panel.method" @update:model-value="(name) => setMethod(panel, name)"></field>
            <field v-for="each in method(panel).controls" :key="panel.method + each.name" :control="each" v-model="panel.settings[each.name]"></field></div>
          <details v-if="method(panel).more.length" class="more"><summary>More settings</summary><div class="fields">
            <field v-for="each in method(panel).more" :key="panel.method + each.name" :control="each" v-model="panel.settings[each.name]"></field></div></details>
          <p class="line"><button type="button" class="start" :id="'start-' + k" @click="start(k)">Start</button>
            <button type="button" :id="'stop-' + k" :disabled="!panel.state || isOver(panel)" @click="stop(k)">Stop</button>
            <progress v-show="panel.state" :value="panel.done" :max="panel.total || 1" :aria-label="k ? 'Progress of the second map' : 'Progress of the first map'"></progress></p>
          <p class="status" role="status" :id="'state-' + k">{{ told(panel) }}</p></div><div>
          <canvas :id="'map-' + k" :ref="'map' + k" v-show="panel.map" tabindex="0" role="img" :aria-label="mapLabel(panel)" :aria-describedby="'readout-' + k"
            @pointermove="(event) => aim(event, k)" @pointerleave="aimAt(null)" @keydown="(event) => aimKey(event, k)"></canvas>
          <p class="readout" :id="'readout-' + k" :data-value="read(panel).value">{{ read(panel).text }}</p>
          <div v-show="panel.map"><canvas class="scale" :ref="'bar' + k" width="512" height="14" role="img" :aria-label="legend(panel).label"></canvas>
            <div class="ends"><span>{{ legend(panel).low }}</span><span>{{ legend(panel).middle }}</span><span>{{ legend(panel).high }}</span></div>
            <p class="faint">{{ legend(panel).text }}</p></div>
          <p v-if="panel.state === 'done'" class="line saves">Download: <a v-for="kind in ['png', 'npz', 'html']" :key="kind" :href="saved(k, kind)" download>{{ { png: "picture (PNG)", npz: "numbers (NPZ)", html: "report (HTML)" }[kind] }}</a></p>
          <details v-if="panel.line"><summary>How these numbers were made</summary><p class="faint">{{ panel.line }}</p></details></div>
        </div>
      </div>
    </section>
  </main>
</div>`;

export default {
  template,
  components: { field, bars },
  props: { setup: Object },
  data() {
    const panel = (name) => ({ method: name, settings: {}, state: "", done: 0, total: 0, left: null, words: "", map: null, line: "" });
    const cover = Object.fromEntries(Object.values(this.setup.cover).map((each) => [each.name, each.value]));
    return {
      error: "", example: "", image: null, predictions: [], status: "", isCovered: false, cover,
      question: { view: "class", first: "", second: "" }, first: "", second: "", opacity: 100, isTwo: false, isShared: false, isMost: false,
      panels: [panel("occlusion"), panel("gradient")], at: null,
      views: { class: "What speaks for a class", contrast: "Why one class rather than another", flips: "Where the best class changes" },
    };
  },
  created() {
    // Large arrays stay outside what Vue watches.
    this.raw = { picture: null, patch: null, patchOf: "", paint: null, pixels: null, maps: [null, null], limits: {}, factor: 1 };
    this.place = [0, 0];
    this.asking = this.again = this.dragging = false;
    this.turns = [0, 0];
    this.panels.forEach((panel) => this.setMethod(panel, panel.method));
    eyeline.paint(this.setup.colours);
  },
  mounted() {
    for (const name of ["dragover", "drop"]) window.addEventListener(name, (event) => event.preventDefault());
    window.addEventListener("drop", (event) => event.dataTransfer?.files?.[0] && this.upload(event.dataTransfer.files[0]));
  },
  watch: {
    "cover.shape"() { this.changed(); },
    "cover.size"() { this.changed(); },
    "cover.baseline"() { this.changed(); },
    "question.view"() { this.asked(); },
    first(text) { this.setClass("first", text); },
    second(text) { this.setClass("second", text); },
    isTwo() { this.$nextTick(() => this.drawMaps()); },
  },
  methods: {
    isOver: over,
    method(panel) { return this.setup.methods.find((each) => each.name === panel.method); },
    methodControl(panel) {
      return { label: "method", kind: "choice", choices: this.setup.methods.map((each) => each.name), definition: this.method(panel).definition };
    },
    classControl(label, definition) { return { label, kind: "text", definition, placeholder: "name or number", suggestions: this.setup.classes }; },
    setMethod(panel, name) {
      const method = this.setup.methods.find((each) => each.name === name);
      panel.method = name;
      panel.settings = Object.fromEntries([...method.controls, ...method.more].map((each) => [each.name, each.value]));
    },

    // asking the server

    async ask(path, body, isFile = false) {
      let answer;
      try {
        answer = await fetch(`/visit/${this.setup.token}/${path}`, { method: "POST", body: isFile ? body : JSON.stringify(body ?? {}) });
      } catch {
        this.error = "The server does not answer, or did not take what was sent. Is it running still?";
        return null;
      }
      const found = await answer.json().catch(() => ({ error: `The server answered ${answer.status}.` }));
      if (answer.ok) return found;
      if (answer.status !== 409) this.error = found.error;
      return null;
    },

    // the picture

    pick(name) { this.example = name; return this.show(`example/${encodeURIComponent(name)}`); },
    chosen(event) { const file = event.target.files[0]; if (file) this.upload(file); },
    upload(file) { this.example = ""; return this.show(`picture?name=${encodeURIComponent(file.name)}`, file, true); },
    async show(path, body, isFile) {
      this.error = "";
      this.status = "Reading the picture and preparing the network; the first time takes some seconds.";
      const found = await this.ask(path, body, isFile);
      if (!found) { this.status = ""; return; }
      const picture = await this.loaded(found.picture);
      this.image = { name: found.name, rows: found.rows, columns: found.columns, notes: found.notes };
      this.predictions = found.predictions;
      this.isCovered = false;
      this.status = `${found.name}: ${this.best(found.predictions)}.`;
      const factor = Math.max(1, Math.round(448 / Math.max(found.rows, found.columns)));
      Object.assign(this.raw, { picture, patch: null, patchOf: "", paint: new Uint8Array(found.rows * found.columns), maps: [null, null], factor });
      this.place = [found.rows / 2, found.columns / 2];
      this.turns = this.turns.map((each) => each + 1);
      for (const panel of this.panels) Object.assign(panel, { state: "", done: 0, total: 0, map: null, line: "", words: "" });
      Object.assign(this.question, { first: String(found.predictions[0].class), second: String(found.predictions[1]?.class ?? found.predictions[0].class) });
      [this.first, this.second] = [found.predictions[0].name, (found.predictions[1] ?? found.predictions[0]).name];
      await this.$nextTick();
      for (const canvas of [this.$refs.cover, this.$refs.map0[0], this.$refs.map1[0]]) {
        [canvas.width, canvas.height] = [found.columns * factor, found.rows * factor];
      }
      const context = this.$refs.map0[0].getContext("2d", { willReadFrequently: true });
      context.imageSmoothingEnabled = Math.max(found.rows, found.columns) >= 128;
      context.drawImage(picture, 0, 0, found.columns * factor, found.rows * factor);
      this.raw.pixels = context.getImageData(0, 0, found.columns * factor, found.rows * factor);
      this.drawCover();
    },
    async loaded(address) {
      const picture = new Image();
      picture.src = address;
      await picture.decode();
      return picture;
    },
    best(predictions) {
      const best = predictions.reduce((most, each) => (each.score > most.score ? each : most));
      return best.share === null ? `${best.name}, score ${words(best.score)}` : `${best.name}, ${percent(best.share)}`;
    },

    // covering by hand

    size() { return Math.max(1, Number(this.cover.size) || 1); },
    inside(row, column, place, disc) {
      const down = row + 0.5 - place[0], across = column + 0.5 - place[1], half = this.size() / 2;
      return disc ? Math.hypot(down, across) <= half : Math.abs(down) <= half && Math.abs(across) <= half;
    },
    isMasked(row, column) {
      if (this.cover.shape === "painted") return this.raw.paint[row * this.image.columns + column] === 1;
      return this.isCovered && this.inside(row, column, this.place, this.cover.shape === "disc");
    },
    coverLabel() {
      if (!this.image) return "No picture";
      const [row, column] = this.place.map(Math.round);
      return `${this.image.name}, with a mask${this.cover.shape === "painted" ? " that is painted" : ` at row ${row}, column ${column}`}`;
    },
    placeOf(event, canvas) {
      const box = canvas.getBoundingClientRect();
      const clamp = (value, most) => Math.max(0, Math.min(most, value));
      return [
        clamp(((event.clientY - box.top - 1) / (box.height - 2)) * this.image.rows, this.image.rows - 0.001),
        clamp(((event.clientX - box.left - 1) / (box.width - 2)) * this.image.columns, this.image.columns - 0.001),
      ];
    },
    press(event) {
      if (!this.image) return;
      this.dragging = true;
      this.$refs.cover.setPointerCapture(event.pointerId);
      this.move(event);
    },
    move(event) { if (this.dragging) this.put(this.placeOf(event, this.$refs.cover), event.timeStamp); },
    release() { this.dragging = false; },
    keyed(event) {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!this.image || !(move || (event.key === " " && this.cover.shape === "painted"))) return;
      event.preventDefault();
      const step = event.shiftKey ? 10 : 1, [row, column] = this.place, [down, across] = move ?? [0, 0];
      const most = [this.image.rows, this.image.columns];
      const place = [row + down * step, column + across * step].map((each, axis) => Math.max(0, Math.min(most[axis], each)));
      if (this.cover.shape === "painted" && move) { this.place = place; this.drawCover(); return; }
      this.put(place, event.timeStamp);
    },
    put(place, when) {
      this.place = place;
      this.isCovered = true;
      if (this.cover.shape === "painted") this.dab();
      this.drawCover();
      this.probe(when);
    },
    dab() {
      const half = Math.ceil(this.size() / 2), [middle, across] = this.place.map(Math.floor), { rows, columns } = this.image;
      for (let row = Math.max(0, middle - half); row < Math.min(rows, middle + half + 1); row++) {
        for (let column = Math.max(0, across - half); column < Math.min(columns, across + half + 1); column++) {
          if (this.inside(row, column, this.place, true)) this.raw.paint[row * columns + column] = 1;
        }
      }
    },
    wipe() { this.raw.paint?.fill(0); this.changed(); },
    changed() { if (this.image) { this.drawCover(); if (this.isCovered || this.cover.shape === "painted") this.probe(performance.now()); } },
    packed() {
      const bytes = new Uint8Array(Math.ceil(this.raw.paint.length / 8));
      this.raw.paint.forEach((each, at) => { if (each) bytes[at >> 3] |= 128 >> (at & 7); });
      return btoa(Array.from(bytes, (each) => String.fromCharCode(each)).join(""));
    },
    /** Ask for the mask's place; while an answer is awaited only the last place is kept. */
    async probe(when) {
      this.since = when;
      if (this.asking) { this.again = true; return; }
      this.asking = true;
      try {
        do {
          this.again = false;
          const since = this.since, began = performance.now(), { shape, baseline } = this.cover;
          const mask = shape === "painted" ? { pixels: this.packed() } : { row: this.place[0], column: this.place[1], size: this.size() };
          const found = await this.ask("probe", { shape, baseline, ...mask });
          if (!found) continue;
          this.predictions = found.predictions;
          this.isCovered = found.covered > 0;
          await this.$nextTick();
          const ended = performance.now();
          performance.measure("probe", { start: began, end: ended });
          performance.measure("drag", { start: Math.min(since, began), end: ended });
        } while (this.again);
      } finally {
        this.asking = false;
      }
      clearTimeout(this.saying);
      this.saying = setTimeout(() => { this.status = `With the part covered: ${this.best(this.predictions)}.`; }, 400);
      this.patched();
    },
    /** Fetch what the network sees under the mask, once for each baseline. */
    async patched() {
      const wanted = this.cover.baseline;
      if (this.raw.patchOf === wanted) return;
      const found = await this.ask("patch", { baseline: wanted });
      if (!found) return;
      const patch = found.picture ? await this.loaded(found.picture) : null;
      Object.assign(this.raw, { patch, patchOf: wanted });
      this.drawCover();
    },
    drawCover() {
      const { rows, columns } = this.image, canvas = this.$refs.cover, context = canvas.getContext("2d"), { factor } = this.raw;
      context.imageSmoothingEnabled = Math.max(rows, columns) >= 128;
      context.drawImage(this.raw.picture, 0, 0, canvas.width, canvas.height);
      const shape = new OffscreenCanvas(columns, rows), over = shape.getContext("2d"), data = over.createImageData(columns, rows);
      for (let at = 0; at < rows * columns; at++) data.data[at * 4 + 3] = this.isMasked(Math.floor(at / columns), at % columns) ? 255 : 0;
      over.putImageData(data, 0, 0);
      over.globalCompositeOperation = "source-in";
      if (this.raw.patch && this.raw.patchOf === this.cover.baseline) over.drawImage(this.raw.patch, 0, 0);
      else { over.fillStyle = "#888"; over.fillRect(0, 0, columns, rows); }
      context.imageSmoothingEnabled = false;
      context.drawImage(shape, 0, 0, canvas.width, canvas.height);
      if (this.cover.shape === "painted" || !this.isCovered) return;
      const half = this.size() / 2, [row, column] = this.place;
      if (this.cover.shape === "rectangle") { outline(context, factor, [row - half, row + half, column - half, column + half]); return; }
      for (const [width, colour] of [[4, "#000"], [2, "#fff"]]) {
        context.beginPath();
        [context.lineWidth, context.strokeStyle] = [width, colour];
        context.arc(column * factor, row * factor, half * factor, 0, 2 * Math.PI);
        context.stroke();
      }
    },

    // maps

    choose(each) { this.question.first = String(each.class); this.first = each.name; this.asked(); },
    setClass(which, text) {
      const wanted = String(text).trim(), same = this.predictions.find((each) => each.name === wanted);
      const value = same ? String(same.class) : wanted;
      if (!value || value === this.question[which]) return;
      this.question[which] = value;
      this.asked();
    },
    /** Put another question to the maps that are there. */
    asked() { this.error = ""; this.panels.forEach((panel, k) => panel.state && this.follow(k)); },
    async start(k) {
      const panel = this.panels[k];
      this.error = "";
      this.turns[k] += 1;
      const view = this.question.view === "flips" ? "class" : this.question.view;
      const found = await this.ask(`start/${k}`, { method: panel.method, settings: panel.settings, ...this.question, view });
      if (!found) return;
      Object.assign(panel, found, { map: null, line: "" });
      this.raw.maps[k] = null;
      await this.follow(k);
    },
    async stop(k) { await this.ask(`stop/${k}`); },
    async follow(k) {
      const panel = this.panels[k], mine = (this.turns[k] += 1);
      let seen = null;
      for (;;) {
        const found = await this.ask(`map/${k}`, { ...this.question, seen });
        if (mine !== this.turns[k] || !found) return;
        this.take(k, panel, found);
        if (over(panel)) return;
        seen = [found.state, found.done];
        await pause(150);
      }
    },
    take(k, panel, found) {
      const { map, boxes, to, reached, ...rest } = found;
      Object.assign(panel, rest);
      if (map === undefined) return;
      const values = numbers(map, Float32Array, false);
      if (reached) numbers(reached, Uint8Array, false).forEach((each, at) => { if (!each) values[at] = NaN; });
      this.raw.maps[k] = {
        values,
        boxes: boxes ? numbers(boxes, Int32Array, false) : new Int32Array(0),
        to: to ? numbers(to, Int32Array, false) : null,
      };
      this.raw.limits = {};
      panel.map = (panel.map ?? 0) + 1;
      this.$nextTick(() => this.drawMaps());
    },
    limit(panel) {
      const shown = this.isTwo ? this.panels.filter((each) => each.map) : [panel];
      const alike = this.isShared && shown.length > 1 && shown.every((each) => each.quantity === panel.quantity && each.unit === panel.unit);
      const all = alike ? shown : [panel];
      const places = all.map((each) => this.panels.indexOf(each)), key = [...places, this.isMost].join();
      if (panel.high) return { high: panel.high, largest: panel.high, signed: false, count: all.length }; // of shares
      this.raw.limits[key] ??= eyeline.ends(places.map((each) => this.raw.maps[each].values), this.isMost);
      return this.raw.limits[key];
    },
    drawMaps() {
      this.panels.forEach((panel, k) => {
        const map = this.raw.maps[k];
        if (!map || (k && !this.isTwo)) return;
        const limit = this.limit(panel), context = this.$refs[`map${k}`][0].getContext("2d");
        composite(context, this.raw.pixels, this.image.columns, this.raw.factor, map.values, limit, this.opacity / 100);
        eyeline.bar(this.$refs[`bar${k}`][0], limit);
        if (!this.at) return;
        const [row, column] = this.at, near = nearest(map.boxes, row, column);
        outline(context, this.raw.factor, [row, row + 1, column, column + 1]);
        if (near.window >= 0) outline(context, this.raw.factor, near.box);
      });
    },
    told(panel) {
      if (panel.state === "failed") return panel.words;
      if (panel.state === "waiting") return "Waiting for its turn.";
      const left = panel.left === null || panel.left === undefined ? "" : `, about ${Math.ceil(panel.left)} s left`;
      if (panel.state === "running") return `${panel.done} of ${panel.total || "?"}${left}.`;
      if (panel.state === "stopped") return `Stopped at ${panel.done} of ${panel.total}.`;
      return panel.state === "done" ? "Done." : "";
    },
    mapLabel(panel) { return panel.map ? `${panel.method} map of ${this.image.name}: ${panel.quantity}, for ${panel.target}` : "No map"; },
    legend(panel) {
      if (!panel.map) return {};
      const limit = this.limit(panel), flips = panel.sweep && this.question.view === "flips", aim = flips ? "" : `, for ${panel.target}`;
      const signs = !limit.signed ? "" : panel.measure === "drop" ? ` Red supports ${panel.target}, blue counts against it.` : " Red is above 0, blue below.";
      const other = panel.sweep ? "" : " Another class needs another run.";
      const scale = eyeline.scaled(limit, "both maps");
      const low = words(limit.signed ? -limit.high : 0), high = `${limit.signed ? "+" : ""}${words(limit.high)} ${panel.unit}`;
      return { low, middle: limit.signed ? "0" : "", high, text: `${panel.quantity}${aim}; ${scale}.${signs}${other}`, label: `Colours from ${low} to ${high}` };
    },
    aim(event, k) { if (this.image) this.aimAt(this.placeOf(event, this.$refs[`map${k}`][0]).map(Math.floor)); },
    aimKey(event) {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!move) return;
      event.preventDefault();
      const { rows, columns } = this.image, step = event.shiftKey ? 10 : 1;
      const [row, column] = this.at ?? [Math.floor(rows / 2), Math.floor(columns / 2)];
      this.aimAt([Math.max(0, Math.min(rows - 1, row + move[0] * step)), Math.max(0, Math.min(columns - 1, column + move[1] * step))]);
    },
    aimAt(place) { this.at = place; this.drawMaps(); },
    read(panel) {
      const map = this.raw.maps[this.panels.indexOf(panel)];
      if (!this.at || !panel.map || !map) return { text: "" };
      const [row, column] = this.at, at = row * this.image.columns + column, value = map.values[at], where = `Row ${row}, column ${column}`;
      if (Number.isNaN(value)) return { text: `${where}: no window has been here yet.` };
      const flips = panel.sweep && this.question.view === "flips", near = nearest(map.boxes, row, column);
      let text = flips ? `${where}: ${percent(value)} of the windows here change the best class` : `${where}: ${words(value, 6)} ${panel.unit}`.trimEnd();
      if (flips && map.to[at] >= 0) text += `, most of them to ${panel.names[map.to[at]]}`;
      if (near.window >= 0) text += near.count > 1 ? `; ${near.count} windows are on it, the nearest: ${span(near.box)}` : `; window: ${span(near.box)}`;
      return { text: `${text}.`, value: String(value) };
    },
    saved(k, kind) { return `/visit/${this.setup.token}/save/${k}/${kind}?${new URLSearchParams(this.question)}`; },
  },
};
