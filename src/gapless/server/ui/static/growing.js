// A table that grows: its first page comes with the filter, the next ones at a press of "More".
import {$, html, makeRow, put, toast} from './dom.js';
import {t} from './text.js';

export class Growing {
  /**
   * `id` names the body of the table, and the button `ID-more` below it. `ask(cursor)` gives {rows, cursor}; `row(one)`
   * is one row as markup; `none()` is what is said where there are none, with the next step.
   */
  constructor(id, {ask, row, none}) {
    Object.assign(this, {body: $(id), more: $(id + '-more'), ask, row, none});
    this.cursor = '';
    this.generation = 0;
    this.hasGrown = false;
    this.more.addEventListener('click', () => this.grow());
    this.body.addEventListener('click', event => event.target.closest('[data-again]') && this.reset());
  }

  /** Other rows altogether. */
  async reset() {
    const me = ++this.generation;
    let page;
    try {
      page = await this.ask('');
    } catch (error) {
      if (me === this.generation) this.say(html`<div>${error.message}</div><button class="btn" data-again>${t('table.again')}</button>`);
      return;
    }
    if (me !== this.generation) return;
    this.hasGrown = false;
    if (page.rows.length) this.body.replaceChildren(...page.rows.map(one => makeRow(this.row(one))));
    else this.say(this.none());
    this.goOn(page.cursor);
  }

  /** The first page anew, where nobody has gone on to the next. */
  refresh() {
    return this.hasGrown || this.body.contains(document.activeElement) ? null : this.reset();
  }

  async grow() {
    const me = this.generation;
    this.more.disabled = true;
    try {
      const page = await this.ask(this.cursor);
      if (me !== this.generation) return;
      const first = this.body.children.length;
      this.body.append(...page.rows.map(one => makeRow(this.row(one))));
      this.hasGrown = true;
      this.goOn(page.cursor);
      if (this.more.hidden) this.body.children[first]?.querySelector('a,button')?.focus();
    } catch (error) {
      toast(error.message);
    } finally {
      this.more.disabled = false;
    }
  }

  goOn(cursor) {
    this.cursor = cursor ?? '';
    this.more.hidden = !this.cursor;
  }

  say(markup) {
    put(this.body, html`<tr><td class="none" colspan="99">${markup}</td></tr>`);
    this.goOn('');
  }
}
