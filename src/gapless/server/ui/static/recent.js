// The last ten jobs of a dataset with their counts and verbs: a prefetch that was left is taken up from here.
import {$, all, html, makeRow, put, say} from './dom.js';
import {api, query} from './api.js';
import {num, t} from './text.js';
import {act, barMarkup, changes, chip, iconButtons, paintBar, paintVerbs, subtitle, title} from './jobview.js';

const MOST = 10;

export class Recent {
  constructor(body) {
    this.body = body;
    this.jobs = new Map();
    this.dataset = '';
    body.addEventListener('click', event => this.click(event));
  }

  async load(dataset = this.dataset) {
    this.dataset = dataset;
    if (!dataset) return;
    const page = await api('/batch/jobs?' + query({dataset, sort: '-created', limit: MOST}));
    if (dataset !== this.dataset) return;
    this.jobs = new Map(page.jobs.map(job => [job.id, job]));
    this.body.replaceChildren(...page.jobs.map(row));
    $('recent').hidden = !page.jobs.length;
    this.jobs.forEach(job => this.paint(job));
  }

  hear(message) {
    if (message.k !== 'jobs') return;
    changes(message).forEach((now, id) => {
      if (!this.jobs.has(id)) return;
      Object.assign(this.jobs.get(id), now);
      this.paint(this.jobs.get(id));
    });
  }

  paint(job) {
    const tr = all('tr', this.body).find(one => one.dataset.id === String(job.id));
    if (!tr) return;
    const [, bar, state, counts, acts] = tr.cells;
    paintBar(bar.firstChild, job);
    say(counts, t('unit.counts', {ok: num(job.ok), cached: num(job.cached), skip: num(job.skip), fail: num(job.fail)}));
    if (tr.dataset.s !== job.state) {
      tr.dataset.s = job.state;
      put(state, chip(job.state));
    }
    paintVerbs(acts.firstChild, job, iconButtons);
  }

  async click(event) {
    const verb = event.target.closest('[data-verb]')?.dataset.verb;
    if (!verb) return;
    const id = Number(event.target.closest('tr').dataset.id), now = await act(id, verb);
    if (!now) return;
    if (!this.jobs.has(now.id)) return this.load();
    Object.assign(this.jobs.get(now.id), now);
    this.paint(this.jobs.get(now.id));
  }
}

const row = job => makeRow(html`<tr data-id="${job.id}"><td class="wrap"><a class="link" href="/jobs/${job.id}">#${job.id}</a> ${job.name || title(job)}
  <div class="mut small">${subtitle({...job, name: ''}).split(' · ').slice(1).join(' · ')} · ${job.createdAt.slice(0, 16).replace('T', ' ')}</div></td>
  <td>${barMarkup(title(job))}</td><td></td><td class="n"></td><td><div class="row"></div></td></tr>`);
