// The log of a job: the newest lines stay in sight, older ones are kept for a change of level.
import {html, make} from './dom.js';
import {clockTime} from './text.js';

const SHOWN = 500;
const KEPT = 2000;
const RANK = {debug: 0, info: 1, warning: 2, error: 3};

export class Log {
  constructor(list, level, follow) {
    Object.assign(this, {list, level, follow});
    this.lines = [];
    this.last = 0;
    level.addEventListener('change', () => this.redraw());
    follow.addEventListener('change', () => this.toEnd());
    list.addEventListener('wheel', event => { if (event.deltaY < 0) follow.checked = false; }, {passive: true});
    list.addEventListener('keydown', event => { if (['ArrowUp', 'PageUp', 'Home'].includes(event.key)) follow.checked = false; });
  }

  wanted(line) {
    return (RANK[line.level] ?? 1) >= (RANK[this.level.value] ?? 0);
  }

  /** Add lines that are not there yet. */
  add(lines) {
    const fresh = lines.filter(line => line.id > this.last);
    if (!fresh.length) return;
    this.last = fresh.at(-1).id;
    this.lines.push(...fresh);
    if (this.lines.length > KEPT) this.lines.splice(0, this.lines.length - KEPT);
    this.list.append(...fresh.filter(line => this.wanted(line)).map(row));
    while (this.list.children.length > SHOWN) this.list.firstChild.remove();
    this.toEnd();
  }

  redraw() {
    this.list.replaceChildren(...this.lines.filter(line => this.wanted(line)).slice(-SHOWN).map(row));
    this.toEnd();
  }

  toEnd() {
    if (this.follow.checked) this.list.scrollTop = this.list.scrollHeight;
  }
}

// The instant of a line is in seconds since 1970.
const row = line => make(html`<li class="${line.level}"><time title="${new Date(line.at * 1000).toISOString()}">${clockTime(line.at * 1000)}</time><span>${line.level.toUpperCase().padEnd(7)}</span><span class="ev">${line.event}</span><span>${line.message}</span></li>`);
