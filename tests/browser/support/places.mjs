// What the tests look at: the demo, and fifty projects, with whatever may be wrong.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { start, status, until } from './program.mjs';

const KEY = 'kapso-simulated-key';
/** The project whose key is wrong. */
export const TROUBLED = 'p7';
/** The project whose key was wrong. */
export const RECOVERED = 'p8';
/** As long as a name may be, and without a place to break it. */
export const LONG = 'l'.repeat(64);

/** Every kind of page of the demo. */
export async function demo() {
  const url = await start('--demo');
  await until('a demo that is ready', async () => (await fetch(`${url}/-/ready`)).ok);
  const [project] = (await status(url)).projects;
  const of = api => workflowPath(project, workflow => workflow.api === api && workflow.id !== 'other');
  const paths = [
    '/',
    '/?q=nobody',
    '/?show=problems',
    '/?refresh=30',
    '/projects/default',
    '/projects/default?q=nobody',
    of('platform'),
    of('legacy'),
    '/projects/nobody',
  ];
  return { url, paths };
}

function workflowPath(project, isMeant) {
  const open = workflow => Object.values(workflow.executions).reduce((sum, count) => sum + count, 0);
  const [busiest] = project.workflows.filter(isMeant).sort((a, b) => open(b) - open(a));
  return `/projects/${project.name}/workflows/${busiest.api}/${busiest.id}`;
}

/** Fifty projects. Names are long, one has fewer workflows, one fails, one did, and a change of the file is refused. */
export async function fifty() {
  const kapso = await start('simulate', '--keys', '50', '--rate-limit', '100000');
  const folder = mkdtempSync(join(tmpdir(), 'kapso-'));
  process.once('exit', () => rmSync(folder, { recursive: true }));
  const file = configuration(folder, kapso);
  const url = await start('--config.file', file);
  await until('fifty projects that were swept', async () => {
    const { projects } = await status(url);
    const sources = projects.flatMap(project => project.sources);
    return projects.length === 50 && sources.every(source => source.last_sweep);
  });
  await recover(url, folder);
  await refuse(url, file);
  const p1 = await named(url, 'p1');
  const paths = ['p1', TROUBLED, RECOVERED, LONG].map(name => `/projects/${name}`);
  return { url, paths: ['/', ...paths, workflowPath(p1, workflow => workflow.api === 'platform')] };
}

async function named(url, name) {
  return (await status(url)).projects.find(project => project.name === name);
}

async function recover(url, folder) {
  writeFileSync(join(folder, 'key-8'), `${KEY}-8`);
  await until('a project that recovered', async () => (await named(url, RECOVERED)).sources[0].up);
}

async function refuse(url, file) {
  writeFileSync(file, 'projects: nonsense');
  const isInForce = async () => (await status(url)).configuration.last_reload_successful;
  await until('a file that was refused', async () => !(await isInForce()));
}

// YAML takes JSON as it is.
function configuration(folder, kapso) {
  const urls = { platform_url: `${kapso}/platform/v1`, legacy_url: `${kapso}/api/v1` };
  const projects = [];
  for (let number = 1; number <= 50; number += 1) {
    const key = `key-${number}`;
    const project = { name: `p${number}`, api_key: { file: key }, ...urls, ...peculiar[number] };
    writeFileSync(join(folder, key), [TROUBLED, RECOVERED].includes(project.name) ? 'wrong' : `${KEY}-${number}`);
    projects.push(project);
  }
  const file = join(folder, 'config.yaml');
  writeFileSync(file, JSON.stringify({ defaults: { interval: '5s', requests_per_minute: 1000 }, projects }));
  return file;
}

const peculiar = {
  2: { name: LONG, sources: ['conversations', 'agents'], agents: { 'agent-sales': 'n'.repeat(200) } },
  3: { workflows: { include: ['Order*'] } },
};
