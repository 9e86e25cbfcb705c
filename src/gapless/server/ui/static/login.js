// Sign in, or choose the first password over the one-time link of the first start.
import {$, say} from './dom.js';
import {api} from './api.js';
import {t} from './text.js';
import './theme.js';

const form = $('form');
const asked = new URLSearchParams(location.search);

/** Only a path of this server: no other host, no scheme. */
function next() {
  const path = asked.get('next') ?? '';
  return /^\/(?![/\\])/.test(path) ? path : '/jobs';
}

function refuse(text) {
  $('wrong').hidden = false;
  // Emptied first, so that the same sentence is read out again.
  $('wrong').textContent = '';
  say($('wrong'), text);
  $('wrong').textContent = text;
  $('password').setAttribute('aria-invalid', 'true');
  $('password').setAttribute('aria-describedby', 'wrong');
  $('password').focus();
  $('password').select();
}

form.addEventListener('submit', async event => {
  event.preventDefault();
  const data = new FormData(form), isSetup = form.dataset.for === 'setup';
  const body = isSetup ? {token: asked.get('token') ?? '', password: data.get('password')} : {user: data.get('user'), password: data.get('password')};
  $('go').disabled = true;
  try {
    await api(isSetup ? '/setup' : '/session', {body, quiet: true});
    location.assign(next());
  } catch (error) {
    refuse(error.status === 401 && !isSetup ? t('login.bad') : error.message);
  } finally {
    $('go').disabled = false;
  }
});
performance.mark('ready');
document.documentElement.dataset.ready = '1';
