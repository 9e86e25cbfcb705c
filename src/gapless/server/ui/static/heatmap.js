// Coverage as a canvas: one line for each series, run-length in time. Colour and texture: readable in greyscale too.
import {html, make, say} from './dom.js';
import {colour, onTheme} from './theme.js';
import {lang, millis, pct, t} from './text.js';

/** What a bucket can be, by its number in the answer. */
export const WORDS = ['missing', 'filled', 'empty', 'failed', 'running', 'unavailable'];
const TOKENS = ['miss', 'fill', 'empty', 'fail', 'run', 'gone'];
const LEFT = 236;
const RIGHT = 64;
const ROW = 22;
const TOP = 34;
const PAGE = 100;
const DAY = 864e5;
const isGap = state => state === 0 || state === 3;

let palette = {};
function colours() {
  for (const token of TOKENS) palette[token] = colour('c-' + token);
  Object.assign(palette, {dot: colour('c-dot'), ground: colour('surface'), text: colour('text'), faint: colour('text-3'), line: colour('line'), accent: colour('accent'), hover: colour('hover')});
}

function hatch(pen, {x, y, w, h}, step, rising) {
  for (let at = x - h; at < x + w; at += step) {
    pen.beginPath();
    pen.moveTo(at, rising ? y + h : y);
    pen.lineTo(at + h, rising ? y : y + h);
    pen.stroke();
  }
}

/** One stretch of one state. */
function tile(pen, token, x, y, w, h) {
  pen.fillStyle = palette[token];
  pen.fillRect(x, y, w, h);
  if (!['empty', 'fail', 'run', 'gone'].includes(token)) return;
  pen.save();
  pen.beginPath();
  pen.rect(x, y, w, h);
  pen.clip();
  pen.lineWidth = 1;
  if (token === 'empty') {
    pen.fillStyle = palette.dot;
    for (let at = Math.floor(x / 4) * 4 + 2; at < x + w; at += 4) pen.fillRect(at, y + h / 2 - .5, 1, 1);
  } else if (token === 'gone') {
    pen.strokeStyle = palette.line;
    pen.strokeRect(x + .5, y + .5, w - 1, h - 1);
  } else {
    pen.strokeStyle = token === 'fail' ? palette.ground : palette.fill;
    pen.globalAlpha = token === 'fail' ? .55 : 1;
    hatch(pen, {x, y, w, h}, token === 'fail' ? 4 : 5, token === 'fail');
  }
  pen.restore();
}

/** Paint the small samples beside the words of the legend. */
export function legend(samples) {
  const paint = () => {
    colours();
    samples.forEach(sample => tile(sample.getContext('2d'), sample.dataset.k, 0, 0, sample.width, sample.height));
  };
  paint();
  onTheme(paint);
}

export class Heatmap {
  /** `load(offset, limit, width)` gives {from, to, width, total, series}; `open(series, from, to)` is a click on a gap. */
  constructor({box, canvas, pad, status, load, open}) {
    Object.assign(this, {box, canvas, pad, status, load, open});
    this.pen = canvas.getContext('2d');
    this.font = getComputedStyle(document.body).fontFamily;
    this.rows = [];
    this.total = 0;
    this.pages = new Map();
    this.generation = 0;
    this.hot = null;
    this.at = {row: 0, run: 0};
    this.tip = document.body.appendChild(make(html`<div class="tip" hidden><b></b><span></span><br><span></span></div>`));
    colours();
    onTheme(() => { colours(); this.draw(); });
    new ResizeObserver(() => this.resized()).observe(box);
    box.addEventListener('scroll', () => this.draw(), {passive: true});
    box.addEventListener('focus', () => this.draw());
    box.addEventListener('blur', () => this.draw());
    box.addEventListener('mousemove', event => this.hover(event));
    box.addEventListener('mouseleave', () => { this.hot = null; this.tip.hidden = true; this.draw(); });
    box.addEventListener('click', event => this.click(event));
    box.addEventListener('keydown', event => this.key(event));
  }

  get plotWidth() { return Math.max(50, this.box.clientWidth - LEFT - RIGHT); }

  /** Read again; `keep` leaves what is shown until the answer comes. */
  async reload(keep = false) {
    this.generation++;
    this.pages.clear();
    if (!keep) {
      this.rows = [];
      this.total = 0;
      this.at = {row: 0, run: 0};
      this.box.scrollTop = 0;
    }
    await this.need(Math.floor(this.box.scrollTop / ROW / PAGE));
  }

  resized() {
    if (!this.box.clientWidth) return;
    // Buckets are as wide as pixels: another width wants other buckets.
    if (this.asked && Math.abs(this.asked - this.plotWidth) > this.asked * .25) this.reload(true);
    this.draw();
  }

  need(page) {
    if (this.pages.has(page)) return this.pages.get(page);
    const generation = this.generation;
    this.asked = Math.round(this.plotWidth);
    const loading = this.load(page * PAGE, PAGE, this.asked).then(found => {
      if (generation !== this.generation) return;
      Object.assign(this, {from: millis(found.from), to: millis(found.to), buckets: found.width, total: found.total});
      found.series.forEach((one, i) => { this.rows[page * PAGE + i] = one; });
      this.rows.length = Math.min(this.rows.length, found.total);
      this.draw();
    }, () => this.pages.delete(page));
    this.pages.set(page, loading);
    return loading;
  }

  X(bucket) { return LEFT + bucket / this.buckets * this.plotWidth; }
  time(bucket) { return this.from + bucket / this.buckets * (this.to - this.from); }

  /** A run of a row as a stretch of time. */
  run(row, index) {
    const runs = this.rows[row].runs, before = runs.slice(0, index).reduce((sum, [n]) => sum + n, 0);
    return {start: this.time(before), end: this.time(before + runs[index][0]), state: runs[index][1], a: before, b: before + runs[index][0]};
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
    this.pad.style.height = Math.max(0, this.total * ROW + TOP + 8 - height) + 'px';
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = palette.ground;
    pen.fillRect(0, 0, width, height);
    if (!this.buckets) return;
    pen.textBaseline = 'middle';
    const first = Math.floor(box.scrollTop / ROW), last = Math.min(this.total, Math.ceil((box.scrollTop + height - TOP) / ROW));
    for (let row = first; row < last; row++) this.line(row, TOP + row * ROW - box.scrollTop, width);
    this.frame(this.hot, palette.text);
    if (document.activeElement === box) this.frame(this.at, palette.accent);
    this.axis(width);
  }

  line(row, y, width) {
    const {pen} = this, one = this.rows[row];
    if (!one) return this.need(Math.floor(row / PAGE));
    if (this.hot?.row === row) {
      pen.fillStyle = palette.hover;
      pen.fillRect(0, y, width, ROW);
    }
    this.label(one, y);
    let bucket = 0;
    for (const [i, [n, state]] of one.runs.entries()) {
      const x = this.X(bucket), wide = this.X(bucket + n) - x;
      // A weekend inside a filled stretch is a faint notch, not a stripe: else every daily row drowns its gaps.
      const isNotch = state === 2 && wide < 5 && one.runs[i - 1]?.[1] === 1 && one.runs[i + 1]?.[1] === 1;
      pen.globalAlpha = isNotch ? .84 : 1;
      tile(pen, TOKENS[isNotch ? 1 : state], x, y + 3, Math.max(wide, isGap(state) ? 2 : .5), ROW - 6);
      pen.globalAlpha = 1;
      bucket += n;
    }
    pen.textAlign = 'right';
    pen.font = `12px ${this.font}`;
    pen.fillStyle = one.percent >= 100 ? palette.faint : palette.text;
    pen.fillText(pct(one.percent / 100), width - 14, y + ROW / 2 + .5);
  }

  label(one, y) {
    const {pen} = this, middle = y + ROW / 2 + .5;
    pen.textAlign = 'left';
    pen.font = `500 12px ${this.font}`;
    pen.fillStyle = palette.text;
    pen.fillText(one.series, 14, middle);
    const from = 22 + pen.measureText(one.series).width;
    pen.font = `12px ${this.font}`;
    pen.fillStyle = palette.faint;
    let text = one.name || one.dataset;
    while (text.length > 2 && from + pen.measureText(text).width > LEFT - 8) text = text.slice(0, -2) + '…';
    pen.fillText(text, from, middle);
  }

  frame(place, stroke) {
    const one = place && this.rows[place.row];
    if (!one?.runs[place.run]) return;
    const {a, b} = this.run(place.row, place.run);
    this.pen.strokeStyle = stroke;
    this.pen.lineWidth = 2;
    this.pen.strokeRect(this.X(a) - 1, TOP + place.row * ROW - this.box.scrollTop + 2, Math.max(4, this.X(b) - this.X(a) + 2), ROW - 4);
  }

  axis(width) {
    const {pen} = this;
    pen.fillStyle = palette.ground;
    pen.fillRect(0, 0, width, TOP);
    pen.fillStyle = palette.line;
    pen.fillRect(0, TOP - 1, width, 1);
    pen.font = `500 12px ${this.font}`;
    pen.textAlign = 'left';
    let free = 0;
    for (const {ms, text} of ticks(this.from, this.to)) {
      const x = LEFT + (ms - this.from) / (this.to - this.from) * this.plotWidth;
      if (x < free || x > width - RIGHT - 30) continue;
      pen.fillStyle = palette.faint;
      pen.fillText(text, x + 6, TOP / 2);
      pen.fillStyle = palette.line;
      pen.fillRect(x, 6, 1, TOP - 6);
      free = x + pen.measureText(text).width + 16;
    }
    pen.textAlign = 'right';
    pen.fillStyle = palette.faint;
    pen.fillText(t('coverage.complete'), width - 14, TOP / 2);
  }

  // -- pointing

  hit(event) {
    const box = this.box.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    if (!this.buckets || y < TOP || x < LEFT || x > LEFT + this.plotWidth) return null;
    const row = Math.floor((y - TOP + this.box.scrollTop) / ROW), one = this.rows[row];
    let bucket = (x - LEFT) / this.plotWidth * this.buckets;
    const run = one ? one.runs.findIndex(([n]) => (bucket -= n) < 0) : -1;
    return run < 0 ? null : {row, run};
  }

  words(place) {
    const one = this.rows[place.row], run = this.run(place.row, place.run), span = run.end - run.start;
    const text = span < 3 * DAY ? ms => new Date(ms).toISOString().slice(0, 16).replace('T', ' ') : ms => new Date(ms).toISOString().slice(0, 10);
    return {name: `${one.series} ${one.dataset}`, what: t('coverage.' + WORDS[run.state]), when: `${text(run.start)} – ${text(run.end)}`, run};
  }

  hover(event) {
    this.hot = this.hit(event);
    this.draw();
    this.tip.hidden = !this.hot;
    if (!this.hot) return;
    const {name, what, when, run} = this.words(this.hot);
    this.box.style.cursor = isGap(run.state) ? 'pointer' : 'default';
    [name, what, '', when].forEach((text, i) => text && say(this.tip.children[i], text));
    this.tip.style.left = Math.min(innerWidth - 290, event.clientX + 14) + 'px';
    this.tip.style.top = Math.min(innerHeight - 90, event.clientY + 16) + 'px';
  }

  click(event) {
    const place = this.hit(event);
    if (!place) return;
    this.at = place;
    this.enter(place);
  }

  enter(place) {
    const run = this.rows[place.row] && this.run(place.row, place.run);
    if (run && isGap(run.state)) this.open(this.rows[place.row], run.start, run.end);
  }

  // -- keys: gap to gap with the arrows, every run with Shift, Enter fills

  key(event) {
    if (!this.rows[this.at.row]) return;
    const {key, shiftKey} = event;
    if (key === 'Enter') return this.enter(this.at);
    if (key === 'ArrowRight' || key === 'ArrowLeft') this.sideways(key === 'ArrowRight' ? 1 : -1, shiftKey);
    else if (key === 'ArrowDown' || key === 'ArrowUp') this.toRow(this.at.row + (key === 'ArrowDown' ? 1 : -1));
    else if (key === 'Home' || key === 'End') this.toRow(key === 'Home' ? 0 : this.total - 1);
    else return;
    event.preventDefault();
    this.draw();
    const {name, what, when} = this.words(this.at);
    say(this.status, `${name}, ${what}, ${when}`);
  }

  sideways(step, every) {
    const runs = this.rows[this.at.row].runs;
    let run = this.at.run + step;
    while (run >= 0 && run < runs.length && !every && !isGap(runs[run][1])) run += step;
    if (runs[run]) this.at = {...this.at, run};
  }

  toRow(row) {
    row = Math.max(0, Math.min(this.total - 1, row));
    if (!this.rows[row]) return;
    this.at = {row, run: Math.max(0, this.rows[row].runs.findIndex(([, state]) => isGap(state)))};
    const y = row * ROW, view = this.box.clientHeight - TOP;
    if (y < this.box.scrollTop) this.box.scrollTop = y;
    else if (y + ROW > this.box.scrollTop + view) this.box.scrollTop = y + ROW - view;
  }
}

/** Beginnings of years, months, days or hours, whichever fits the width. */
function ticks(from, to) {
  const span = to - from, found = [], date = new Date(from);
  if (span > 60 * DAY) {
    const months = new Intl.DateTimeFormat(lang, {month: 'short', timeZone: 'UTC'});
    for (let at = Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1); at < to;) {
      const one = new Date(at), isYear = one.getUTCMonth() === 0;
      if (isYear || span < 1200 * DAY) found.push({ms: at, text: isYear ? String(one.getUTCFullYear()) : months.format(one)});
      at = Date.UTC(one.getUTCFullYear(), one.getUTCMonth() + 1, 1);
    }
    return found;
  }
  const step = span > 3 * DAY ? DAY : 36e5;
  for (let at = Math.ceil(from / step) * step; at < to; at += step) {
    const iso = new Date(at).toISOString();
    found.push({ms: at, text: step === DAY || iso.slice(11, 13) === '00' ? iso.slice(5, 10) : iso.slice(11, 16)});
  }
  return found;
}
