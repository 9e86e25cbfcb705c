// Reports: the jobs that made them, and their files.
import {$, html, icon, say, toast} from './dom.js';
import {api, query} from './api.js';
import {live, ready} from './live.js';
import {showRunning} from './shell.js';
import {settled} from './keys.js';
import {onSave} from './workflow.js';
import {Growing} from './growing.js';
import {changes, chip, title} from './jobview.js';
import {fileRow, filesOf} from './files.js';
import {millis, minute, pct, t} from './text.js';
import './dates.js';

let shown = new URLSearchParams(location.search).get('job') ?? '';

const reports = new Growing('rows', {
  ask: async cursor => {
    const page = await api('/batch/jobs?' + query({kind: 'report', cursor, limit: 20}), {quiet: true});
    return {rows: page.jobs, cursor: page.cursor};
  },
  row: one => html`<tr data-id="${one.id}"><td><a class="link" href="/jobs/${one.id}">#${one.id}</a> ${one.name}</td><td class="wrap">${title(one)}</td><td>${minute(millis(one.createdAt))}</td>
    <td class="n">${pct(one.percent / 100)}</td><td>${chip(one.state)}</td>
    <td><span class="acts"><button class="btn sm" data-files="${one.id}" aria-label="${t('reports.files')}: #${one.id}">${icon('i-download')}${t('reports.files')}</button></span></td></tr>`,
  none: () => html`<div>${t($('form') ? 'reports.none' : 'reports.none_short')}</div>`,
});

const files = new Growing('files', {
  ask: async () => ({rows: shown ? await filesOf(shown) : [], cursor: null}),
  row: one => fileRow(shown, one),
  none: () => html`<div>${t('reports.no_files')}</div>`,
});

async function show(job) {
  shown = String(job);
  history.replaceState(null, '', '?' + query({job: shown}));
  $('files-of').hidden = false;
  say($('files-title'), t('reports.files_of', {id: shown}));
  await files.reset();
}

$('rows').addEventListener('click', async event => {
  const job = event.target.closest('[data-files]')?.dataset.files;
  if (!job) return;
  await show(job);
  $('files-of').focus();
});

if ($('form')) {
  onSave($('form'), data => {
    const text = name => data.get(name).trim();
    const body = {dataset: data.get('dataset'), series: text('series'), start: text('start') || undefined, end: text('end') || undefined,
      each: data.get('each'), formats: data.getAll('formats'), languages: data.getAll('languages')};
    return api('/batch/bulk-report', {body, quiet: true});
  }, made => Promise.all([reports.reset(), show(made.id)]));
}

// Files appear one by one while a job runs.
const later = settled(() => { reports.refresh(); if (shown) files.refresh(); }, 900);
Promise.all([reports.reset(), shown && show(shown)]).then(ready, error => toast(error.message));
live(message => { showRunning(message.counts); if (changes(message).size) later(); }, later);
