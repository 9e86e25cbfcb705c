// A table of any length: only the rows on screen are in the document, and only the pages looked at are asked for.
import {$, makeRow, html, say} from './dom.js';
import {num, t} from './text.js';

const PAGE = 60;
const AROUND = 8;
const MOVES = {ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: 10, PageUp: -10};

export class VirtualTable {
  /**
   * `load(offset, limit)` gives {rows, total}; `make(row)` a view with its `tr`; `paint(view, row)` brings it up to
   * date; `open(row)` is what Enter does. Rows have an `id` and all the same height.
   */
  constructor({box, body, height, head, load, make, paint, open, select, none}) {
    Object.assign(this, {box, body, height, head, load, make, paint, open, select, none});
    this.rows = [];
    this.total = null;
    this.views = new Map();
    this.asked = new Map();
    /** For each page under way: what has changed since it was asked for. */
    this.heard = new Set();
    this.generation = 0;
    this.current = 0;
    this.above = makeRow(html`<tr class="spacer" aria-hidden="true"><td></td></tr>`);
    this.below = makeRow(html`<tr class="spacer" aria-hidden="true"><td></td></tr>`);
    this.empty = makeRow(html`<tr><td class="none" colspan="99"></td></tr>`);
    this.isDue = false;
    const later = () => {
      if (this.isDue) return;
      this.isDue = true;
      requestAnimationFrame(() => { this.isDue = false; this.draw(); });
    };
    box.addEventListener('scroll', later, {passive: true});
    new ResizeObserver(later).observe(box);
    addEventListener('keydown', event => this.key(event));
  }

  /** Other rows altogether: from the top. */
  reset() {
    this.rows = [];
    this.current = 0;
    this.box.scrollTop = 0;
    return this.refresh();
  }

  /** The same rows anew; place, focus and selection stay. */
  refresh() {
    this.generation++;
    this.asked.clear();
    const first = Math.floor(this.box.scrollTop / this.height / PAGE);
    return Promise.all([this.need(first), this.total > (first + 1) * PAGE ? this.need(first + 1) : null]);
  }

  need(page) {
    if (this.asked.has(page)) return this.asked.get(page);
    const generation = this.generation, heard = new Map();
    this.heard.add(heard);
    const loading = this.load(page * PAGE, PAGE).finally(() => this.heard.delete(heard)).then(({rows, total}) => {
      if (generation !== this.generation) return;
      rows.forEach((row, i) => { this.rows[page * PAGE + i] = Object.assign(row, heard.get(row.id)); });
      this.total = total;
      this.rows.length = Math.min(this.rows.length, total);
      this.draw();
    }, () => this.asked.delete(page));
    this.asked.set(page, loading);
    return loading;
  }

  /** Rows on screen as [first, after the last]. */
  range() {
    const from = Math.floor(this.box.scrollTop / this.height);
    const to = Math.ceil((this.box.scrollTop + this.box.clientHeight - this.head) / this.height);
    return [from, Math.min(this.total ?? 0, to)];
  }

  draw() {
    const [from, to] = this.range();
    const first = Math.max(0, from - AROUND), last = Math.min(this.total ?? 0, to + AROUND);
    const kept = new Map(), nodes = [this.above];
    for (let i = first; i < last; i++) {
      const row = this.rows[i];
      if (!row) { this.need(Math.floor(i / PAGE)); continue; }
      const view = this.views.get(row.id) ?? this.make(row);
      view.index = i;
      this.paint(view, row);
      view.tr.setAttribute('aria-rowindex', i + 2);
      view.tr.tabIndex = i === this.current ? 0 : -1;
      kept.set(row.id, view);
      nodes.push(view.tr);
    }
    this.above.firstChild.style.height = first * this.height + 'px';
    this.below.firstChild.style.height = Math.max(0, (this.total ?? 0) - last) * this.height + 'px';
    this.above.hidden = first === 0;
    this.below.hidden = last >= (this.total ?? 0);
    nodes.push(this.below);
    if (this.total === 0) nodes.push(this.none(this.empty) ?? this.empty);
    this.place(nodes);
    this.views = kept;
    this.box.querySelector('table').setAttribute('aria-rowcount', (this.total ?? 0) + 1);
    say($('range'), this.total ? t('table.range', {a: num(from + 1), b: num(to), n: num(this.total)}) : '');
  }

  place(nodes) {
    const now = this.body.children;
    if (nodes.length === now.length && nodes.every((node, i) => node === now[i])) return;
    const focused = document.activeElement;
    this.body.replaceChildren(...nodes);
    if (focused?.isConnected && focused !== document.activeElement) focused.focus({preventScroll: true});
  }

  /** Change some fields of rows that are loaded, and of what is on screen. */
  change(patches) {
    this.heard.forEach(heard => patches.forEach((patch, id) => heard.set(id, {...heard.get(id), ...patch})));
    for (const row of this.rows) {
      const patch = row && patches.get(row.id);
      if (patch) Object.assign(row, patch);
    }
    // The page that holds a row may be under way anew: its view waits.
    this.views.forEach((view, id) => patches.has(id) && this.rows[view.index] && this.paint(view, this.rows[view.index]));
  }

  repaint() {
    this.views.forEach(view => this.rows[view.index] && this.paint(view, this.rows[view.index]));
  }

  at(node) {
    const tr = node.closest?.('tr.r');
    return tr ? this.rows.find(row => row && String(row.id) === tr.dataset.id) : undefined;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
    if (event.target.matches('input:not([type=checkbox]),select,textarea')) return;
    const tr = document.activeElement?.closest?.('tr.r'), move = MOVES[event.key];
    if (move && this.total && (tr || event.key.length === 1)) {
      event.preventDefault();
      this.go(tr ? this.current + move : this.current);
    } else if (tr && event.target === tr && event.key === 'Enter') {
      this.open(this.rows[this.current]);
    } else if (tr && event.target === tr && event.key === ' ') {
      event.preventDefault();
      this.select(this.rows[this.current]);
    }
  }

  /** Move the focus to a row, scrolling as little as needed. */
  go(index) {
    this.current = Math.max(0, Math.min(this.total - 1, index));
    const top = this.current * this.height, bottom = top + this.height + this.head;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (bottom > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = bottom - this.box.clientHeight;
    this.draw();
    this.views.forEach(view => view.index === this.current && view.tr.focus({preventScroll: true}));
  }
}
