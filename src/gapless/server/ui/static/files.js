// Files that a report job has written, as rows of a table.
import {html, icon} from './dom.js';
import {api} from './api.js';
import {bytes, millis, minute, t} from './text.js';

/** The files of a job, by name. */
export const filesOf = job => api(`/jobs/${job}/files`, {quiet: true});

export const fileRow = (job, one) => {
  const [size, unit] = bytes(one.bytes), address = `/api/jobs/${job}/files/${encodeURIComponent(one.name)}`;
  return html`<tr><td class="wrap"><a class="link" href="${address}" download="${one.name}">${one.name}</a></td><td>${one.series}</td><td class="n">${size} ${unit}</td><td>${minute(millis(one.createdAt))}</td>
    <td><span class="acts"><a class="btn ico" href="${address}" download="${one.name}" aria-label="${t('reports.download')}: ${one.name}" title="${t('reports.download')}">${icon('i-download')}</a></span></td></tr>`;
};
