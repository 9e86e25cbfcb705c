// Calls of the REST API. A refusal is an `ApiError` with the field and the next step.
import {toast} from './dom.js';
import {known, t} from './text.js';

export class ApiError extends Error {
  constructor(status, problem) {
    const detail = [problem.detail || problem.title || t('error.status', {status}), problem.hint].filter(Boolean).join(' · ');
    // What kind of refusal it is, in the language of the page: the server's own words are English.
    super(known(`error.${status}`) ? t(`error.${status}`, {detail}) : detail);
    this.status = status;
    this.field = problem.field ?? '';
    this.problem = problem;
  }
}

export const toLogin = () => location.assign('/login?next=' + encodeURIComponent(location.pathname + location.search));

/** JSON of an API path, sent as `method` with `body` where given; with a `key` it may be sent again and is done once. */
export async function api(path, {body, method = body === undefined ? 'GET' : 'POST', key = '', quiet = false} = {}) {
  const headers = {accept: 'application/json'};
  if (key) headers['idempotency-key'] = key;
  if (body !== undefined) headers['content-type'] = 'application/json';
  let answer;
  try {
    answer = await fetch('/api' + path, {method, headers, body: body === undefined ? undefined : JSON.stringify(body)});
  } catch {
    throw told(new ApiError(0, {detail: t('error.offline')}), quiet);
  }
  if (answer.status === 401 && !quiet) {
    toLogin();
    throw new ApiError(401, {});
  }
  const json = await answer.json().catch(() => ({}));
  if (!answer.ok) throw told(new ApiError(answer.status, json), quiet);
  return json;
}

function told(error, quiet) {
  if (!quiet) toast(error.message);
  return error;
}

/** Words for an address; empty values are left out. */
export function query(values) {
  const kept = Object.entries(values).filter(([, value]) => value !== '' && value !== null && value !== undefined);
  return new URLSearchParams(kept).toString();
}
