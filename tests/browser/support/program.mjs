// The program as a process of its own, killed at the end.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const built = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target', 'debug/kapso-exporter');
const program = process.env.KAPSO_TEST_PROGRAM ?? built;

const running = [];

/** Starts it with these arguments, waits until it listens, and tells its URL. */
export async function start(...args) {
  if (!existsSync(program)) throw new Error(`${program} is missing: cargo build`);
  const options = { stdio: ['ignore', 'ignore', 'pipe'] };
  const child = spawn(program, [...args, '--web.listen-address', '127.0.0.1:0'], options);
  running.push(child);
  return `http://${await address(child)}`;
}

/** Ends all that was started. */
export function stopAll() {
  running.forEach(child => child.kill('SIGKILL'));
}

process.once('exit', stopAll);

// The log is read to its end, so that the program never waits for room in the pipe.
function address(child) {
  const lines = [];
  return new Promise((found, failed) => {
    child.once('error', failed);
    child.once('close', () => failed(new Error(`it ended:\n${lines.join('\n')}`)));
    createInterface({ input: child.stderr }).on('line', line => {
      lines.push(line);
      if (line.includes('listening')) found(/address=(\S+)/.exec(line)[1]);
    });
  });
}

/** Asks until the answer is true; fails after a minute. */
export async function until(what, ask) {
  const end = Date.now() + 60_000;
  while (!(await ask())) {
    if (Date.now() > end) throw new Error(`a minute went by without ${what}`);
    await new Promise(done => setTimeout(done, 100));
  }
}

/** The answer of the status API. */
export async function status(url) {
  return (await fetch(`${url}/api/v1/status`)).json();
}
