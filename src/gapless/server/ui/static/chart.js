// Candles, or a line, on a time axis that can be dragged and zoomed. Where data is missing there is a band, not a line.
import {colour, onTheme} from './theme.js';
import {exact, instant, num, t} from './text.js';
import {html, put} from './dom.js';

const AXIS = 76;
const BELOW = 26;
const HEAD = 36;
const DAY = 864e5;

export class Chart {
  /**
   * `older(time)` loads what comes before a time; `gap(from, to)` is a click on a band; `said(text)` is for screen
   * readers. Times are milliseconds.
   */
  constructor({box, canvas, legend, older, gap, said}) {
    Object.assign(this, {box, canvas, legend, older, gap, said});
    this.pen = canvas.getContext('2d');
    this.font = getComputedStyle(document.body).fontFamily;
    this.mode = 'candles';
    this.rows = [];
    this.gaps = [];
    this.mouse = null;
    this.colours();
    onTheme(() => { this.colours(); this.draw(); });
    new ResizeObserver(() => this.draw()).observe(box);
    this.listen();
  }

  colours() {
    this.palette = Object.fromEntries(['up', 'down', 'line', 'text', 'text-2', 'text-3', 'surface', 'c-miss', 'fwd'].map(name => [name, colour(name)]));
  }

  /** `rows` are {time, values…} in order; `fields` say which value is what; `step` is one period. */
  set({rows, gaps, fields, step}) {
    const isFirst = !this.rows.length;
    Object.assign(this, {rows, gaps, fields, step});
    if (isFirst && rows.length) this.fit(230);
    else this.draw();
  }

  get hasCandles() { return Boolean(this.fields?.open); }
  get first() { return Math.min(this.rows[0]?.time ?? Infinity, this.gaps[0]?.[0] ?? Infinity); }
  get last() { return Math.max(this.rows.at(-1)?.time + this.step || -Infinity, this.gaps.at(-1)?.[1] ?? -Infinity); }

  /** Show everything, or the newest `periods`. */
  fit(periods = Infinity) {
    const span = Math.min(this.last - this.first, periods * this.step);
    this.to = this.last + span * .02;
    this.from = this.to - span * 1.04;
    this.clamp();
  }

  clamp() {
    const span = Math.max(12 * this.step, Math.min((this.last - this.first) * 1.1 + 12 * this.step, this.to - this.from));
    this.from = Math.max(this.first - span * .3, Math.min(this.last - span * .7, this.from));
    this.to = this.from + span;
    if (this.from < this.first) this.older(this.first);
    this.draw();
  }

  zoom(factor, at) {
    const centre = this.from + (this.to - this.from) * at;
    this.from = centre - (centre - this.from) * factor;
    this.to = centre + (this.to - centre) * factor;
    this.clamp();
  }

  pan(share) {
    const by = (this.to - this.from) * share;
    this.from += by;
    this.to += by;
    this.clamp();
  }

  // -- drawing

  get plot() { return this.box.clientWidth - AXIS; }
  X(time) { return (time - this.from) / (this.to - this.from) * this.plot; }

  /** Index of the first row at or after a time. */
  index(time) {
    let a = 0, b = this.rows.length;
    while (a < b) {
      const middle = (a + b) >> 1;
      if (this.rows[middle].time < time) a = middle + 1;
      else b = middle;
    }
    return a;
  }

  visible() { return this.rows.slice(this.index(this.from - this.step), this.index(this.to)); }

  scale(rows) {
    const {fields} = this, high = fields.high ?? fields.close, low = fields.low ?? fields.close;
    let top = -Infinity, bottom = Infinity, volume = 0;
    for (const row of rows) {
      if (row[high] !== null && row[high] > top) top = row[high];
      if (row[low] !== null && row[low] < bottom) bottom = row[low];
      if (fields.volume && row[fields.volume] > volume) volume = row[fields.volume];
    }
    if (!isFinite(top)) [top, bottom] = [1, 0];
    const pad = (top - bottom) * .06 || Math.abs(top) * .05 || 1;
    return {top: top + pad, bottom: bottom - pad, volume};
  }

  draw() {
    const {pen, box, canvas} = this, width = box.clientWidth, height = box.clientHeight, ratio = devicePixelRatio;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = width * ratio;
      canvas.height = height * ratio;
      canvas.style.width = width + 'px';
      canvas.style.height = height + 'px';
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (!this.rows.length) return;
    const rows = this.visible(), scale = this.scale(rows);
    this.floor = height - BELOW;
    this.volumeHeight = this.fields.volume ? Math.min(90, height * .18) : 0;
    this.priceHeight = this.floor - this.volumeHeight - HEAD - 8;
    this.Y = value => HEAD + (scale.top - value) / (scale.top - scale.bottom) * this.priceHeight;
    this.value = y => scale.top - (y - HEAD) / this.priceHeight * (scale.top - scale.bottom);
    pen.font = `12px ${this.font}`;
    pen.textBaseline = 'middle';
    this.prices(scale);
    this.times();
    pen.save();
    pen.beginPath();
    pen.rect(0, 0, this.plot, height);
    pen.clip();
    this.bands();
    this.volumes(rows, scale);
    if (this.mode === 'candles' && this.hasCandles) this.candles(rows);
    else this.line(rows);
    pen.restore();
    this.cross(width);
  }

  prices(scale) {
    const {pen, palette} = this, raw = (scale.top - scale.bottom) / Math.max(3, this.priceHeight / 64), size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].find(one => one * size >= raw) * size;
    pen.textAlign = 'left';
    for (let value = Math.ceil(scale.bottom / step) * step; value < scale.top; value += step) {
      pen.fillStyle = palette.line;
      pen.fillRect(0, Math.round(this.Y(value)), this.plot, 1);
      pen.fillStyle = palette['text-3'];
      pen.fillText(exact(Number(value.toPrecision(10))), this.plot + 10, this.Y(value));
    }
  }

  times() {
    const {pen, palette} = this;
    let free = -1;
    pen.textAlign = 'center';
    for (const {time, text} of marks(this.from, this.to)) {
      const x = this.X(time), half = pen.measureText(text).width / 2;
      if (x - half < free || x + half > this.plot) continue;
      pen.fillStyle = palette.line;
      pen.fillRect(Math.round(x), HEAD, 1, this.floor - HEAD);
      pen.fillStyle = palette['text-3'];
      pen.fillText(text, x, this.floor + BELOW / 2);
      free = x + half + 24;
    }
  }

  bands() {
    const {pen, palette} = this;
    for (const [from, to] of this.gaps) {
      if (to < this.from || from > this.to) continue;
      const x = this.X(from), wide = Math.max(2, this.X(to) - x);
      pen.globalAlpha = .16;
      pen.fillStyle = palette['c-miss'];
      pen.fillRect(x, HEAD, wide, this.floor - HEAD);
      pen.globalAlpha = 1;
      const a = Math.max(0, x), b = Math.min(this.plot, x + wide), word = t('series.gap');
      if (b - a < pen.measureText(word).width + 8) continue;
      pen.fillStyle = palette['text-2'];
      pen.textAlign = 'center';
      pen.fillText(word, (a + b) / 2, HEAD + 10);
    }
  }

  get barWidth() { return Math.max(1, Math.min(14, Math.floor(this.step / (this.to - this.from) * this.plot * .7))); }
  middle(row) { return this.X(row.time + this.step / 2); }
  isUp(row) { return !this.hasCandles || row[this.fields.close] >= row[this.fields.open]; }

  volumes(rows, scale) {
    if (!this.fields.volume || !scale.volume) return;
    const {pen, palette} = this, wide = this.barWidth;
    pen.globalAlpha = .35;
    for (const row of rows) {
      const tall = row[this.fields.volume] / scale.volume * this.volumeHeight;
      pen.fillStyle = this.isUp(row) ? palette.up : palette.down;
      pen.fillRect(Math.round(this.middle(row) - wide / 2), this.floor - tall, wide, tall);
    }
    pen.globalAlpha = 1;
  }

  candles(rows) {
    const {pen, palette, fields} = this, wide = this.barWidth;
    for (const row of rows) {
      const up = this.isUp(row), x = this.middle(row), top = this.Y(Math.max(row[fields.open], row[fields.close]));
      const tall = Math.max(1, Math.abs(this.Y(row[fields.open]) - this.Y(row[fields.close]))), left = Math.round(x - wide / 2);
      pen.fillStyle = pen.strokeStyle = up ? palette.up : palette.down;
      pen.fillRect(Math.round(x) - .5, this.Y(row[fields.high]), 1, this.Y(row[fields.low]) - this.Y(row[fields.high]));
      if (up && wide > 5) {
        // Hollow rises and solid falls: told apart without colour.
        pen.fillStyle = palette.surface;
        pen.fillRect(left, top, wide, tall);
        pen.lineWidth = 1.2;
        pen.strokeRect(left + .5, top + .5, wide - 1, Math.max(1, tall - 1));
      } else {
        pen.fillRect(left, top, wide, tall);
      }
    }
  }

  line(rows) {
    const {pen, palette} = this, close = this.fields.close, isSparse = rows.length < 60;
    pen.strokeStyle = pen.fillStyle = palette.fwd;
    pen.lineWidth = 1.6;
    pen.beginPath();
    let before = null;
    for (const row of rows) {
      if (row[close] === null) { before = null; continue; }
      const isBroken = before === null || this.gaps.some(([from, to]) => from >= before && to <= row.time);
      pen[isBroken ? 'moveTo' : 'lineTo'](this.middle(row), this.Y(row[close]));
      before = row.time;
    }
    pen.stroke();
    if (isSparse) rows.forEach(row => row[close] !== null && pen.fillRect(this.middle(row) - 2.5, this.Y(row[close]) - 2.5, 5, 5));
  }

  cross() {
    const {pen, palette, mouse} = this;
    let row = this.rows.at(-1), time = row.time;
    if (mouse && mouse.x < this.plot) {
      time = this.from + mouse.x / this.plot * (this.to - this.from);
      const found = this.rows[this.index(time - this.step + 1)];
      row = found && found.time <= time ? found : null;
      const x = this.X(row ? row.time + this.step / 2 : time);
      pen.strokeStyle = palette['text-3'];
      pen.setLineDash([3, 3]);
      pen.beginPath();
      pen.moveTo(x, HEAD);
      pen.lineTo(x, this.floor);
      pen.moveTo(0, mouse.y);
      pen.lineTo(this.plot, mouse.y);
      pen.stroke();
      pen.setLineDash([]);
      if (mouse.y > HEAD && mouse.y < HEAD + this.priceHeight) this.tag(this.plot + 4, mouse.y, AXIS - 8, exact(Number(this.value(mouse.y).toPrecision(6))));
      const text = this.when(row?.time ?? time), wide = pen.measureText(text).width + 14;
      this.tag(Math.max(0, Math.min(this.plot - wide, x - wide / 2)), this.floor + BELOW / 2, wide, text);
    }
    this.tell(row, time);
  }

  when(time) { return instant(time, this.step >= DAY ? Infinity : 0); }

  tag(x, y, wide, text) {
    const {pen, palette} = this;
    pen.fillStyle = palette.text;
    pen.beginPath();
    pen.roundRect(x, y - 10, wide, 20, 4);
    pen.fill();
    pen.fillStyle = palette.surface;
    pen.textAlign = 'center';
    pen.fillText(text, x + wide / 2, y + .5);
  }

  tell(row, time) {
    const {fields} = this;
    const isMissing = !row && this.gaps.some(([from, to]) => from <= time && time < to);
    const names = this.hasCandles ? ['open', 'high', 'low', 'close', 'volume'] : ['close'];
    put(this.legend, row
      ? html`<b>${this.when(row.time)}</b>${names.filter(name => fields[name]).map(name => html`<span>${this.hasCandles ? t('series.' + name) : fields[name]} <b>${exact(row[fields[name]])}</b></span>`)}`
      : html`<b>${this.when(time)}</b><b class="${isMissing ? 'miss' : ''}">${t(isMissing ? 'series.gap' : 'coverage.empty')}</b>`);
  }

  // -- hands

  listen() {
    const {box} = this;
    let drag = null;
    const place = event => {
      const at = box.getBoundingClientRect();
      return {x: event.clientX - at.left, y: event.clientY - at.top};
    };
    box.addEventListener('wheel', event => {
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.12 : .89, Math.min(1, place(event).x / this.plot));
    }, {passive: false});
    box.addEventListener('pointerdown', event => {
      drag = {x: event.clientX, from: this.from, to: this.to, moved: false};
      box.setPointerCapture(event.pointerId);
    });
    box.addEventListener('pointermove', event => {
      this.mouse = place(event);
      if (!drag) return this.draw();
      const by = (event.clientX - drag.x) / this.plot * (drag.to - drag.from);
      drag.moved ||= Math.abs(event.clientX - drag.x) > 3;
      this.from = drag.from - by;
      this.to = drag.to - by;
      this.clamp();
    });
    box.addEventListener('pointerup', event => {
      if (drag && !drag.moved) this.click(place(event).x);
      drag = null;
    });
    box.addEventListener('pointerleave', () => { this.mouse = null; this.draw(); });
    box.addEventListener('keydown', event => this.key(event));
  }

  click(x) {
    const time = this.from + x / this.plot * (this.to - this.from);
    const found = this.gaps.find(([from, to]) => from <= time && time < to);
    if (found) this.gap(...found);
  }

  key(event) {
    const moves = {
      ArrowLeft: () => this.pan(-.1), ArrowRight: () => this.pan(.1), '+': () => this.zoom(.8, .5), '=': () => this.zoom(.8, .5),
      '-': () => this.zoom(1.25, .5), Home: () => this.pan(-99), End: () => this.pan(99),
    };
    if (!moves[event.key] || !this.rows.length) return;
    event.preventDefault();
    moves[event.key]();
    this.said(`${this.when(Math.max(this.from, this.first))} – ${this.when(Math.min(this.to, this.last))}, ${t('series.shown', {n: num(this.visible().length)})}`);
  }
}

/** Beginnings of years, months, days or hours. */
function marks(from, to) {
  const span = to - from, found = [], start = new Date(from);
  if (span > 45 * DAY) {
    const every = span > 12 * 365 * DAY ? 12 : 1;
    for (let at = Date.UTC(start.getUTCFullYear(), every === 12 ? 12 : start.getUTCMonth() + 1, 1); at < to;) {
      const date = new Date(at);
      found.push({time: at, text: date.getUTCMonth() ? date.toISOString().slice(0, 7) : String(date.getUTCFullYear())});
      at = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + every, 1);
    }
    return found;
  }
  const step = [6e4, 3e5, 9e5, 36e5, 6 * 36e5, DAY, 7 * DAY].find(one => span / one <= 14) ?? 7 * DAY;
  for (let at = Math.ceil(from / step) * step; at < to; at += step) {
    const iso = new Date(at).toISOString();
    found.push({time: at, text: step >= DAY || at % DAY === 0 ? iso.slice(0, 10) : iso.slice(11, 16)});
  }
  return found;
}
