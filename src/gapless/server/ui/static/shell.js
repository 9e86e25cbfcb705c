// What every page has: theme button, sign out, the number of running jobs in the navigation.
import {$, say} from './dom.js';
import {api} from './api.js';
import {num} from './text.js';
import './theme.js';

$('logout')?.addEventListener('click', async () => {
  await api('/session', {method: 'DELETE'});
  location.assign('/login');
});

/** Show how many jobs run. */
export const showRunning = counts => say($('nav-running'), counts?.running ? num(counts.running) : '');
