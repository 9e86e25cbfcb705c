// One WebSocket for each visible page. A hidden tab closes its own, so it costs the server nothing.
import {$} from './dom.js';
import {toLogin} from './api.js';
import {t} from './text.js';

/**
 * Hear what changes. `hear(message)` gets every message; `refetch()` is called when something may have been missed:
 * after a reconnect, a hole in `rev` (since the page was drawn, too), a new server run (`boot`), or more changes than a
 * message holds (`stale`). `sub` are further topics, `log:12`.
 */
export function live(hear, refetch, sub = []) {
  let socket, wait = 400, hasOpened = false;
  let [boot, rev] = document.documentElement.dataset.seen.split(':');

  function show(state) {
    document.documentElement.dataset.live = state;
    const pill = $('live');
    if (pill && pill.dataset.s !== state) {
      pill.dataset.s = state;
      pill.lastElementChild.textContent = t('live.' + state);
    }
  }

  function open() {
    if (document.hidden) return;
    socket = new WebSocket(location.origin.replace('http', 'ws') + '/api/live');
    socket.onopen = () => {
      wait = 400;
      if (sub.length) socket.send(JSON.stringify({sub}));
      show('on');
    };
    socket.onmessage = event => {
      const message = JSON.parse(event.data);
      // Only messages of `jobs` tell a step themselves.
      const isHole = message.boot !== boot || message.rev > Number(rev) + (message.k === 'jobs' ? 1 : 0);
      const isAgain = message.k === 'hello' && hasOpened;
      boot = message.boot;
      rev = message.rev;
      hasOpened = true;
      if (isHole || isAgain || message.stale) refetch?.();
      hear(message);
    };
    socket.onclose = event => {
      show('off');
      if (event.code === 4401) return toLogin();
      if (document.hidden) return;
      setTimeout(open, wait);
      wait = Math.min(wait * (1 + Math.random()), 5000);
    };
  }

  document.addEventListener('visibilitychange', () => {
    if (document.hidden) socket?.close();
    else if (!socket || socket.readyState > WebSocket.OPEN) open();
  });
  addEventListener('online', () => socket?.readyState > WebSocket.OPEN && open());
  open();
}

/** Mark that the page is usable, for tests and measurements. */
export function ready() {
  performance.mark('ready');
  document.documentElement.dataset.ready = '1';
}
