// What the tests look at: the demo, and fifty projects, one of them in trouble.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { start, status, until } from './program.mjs';

const KEY = 'kapso-simulated-key';
/** The project whose key is wrong. */
export const TROUBLED = 'p7';
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

/** Fifty projects: names and names of agents may be long, one has fewer workflows, one a wrong key. */
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
  const { projects } = await status(url);
  const p1 = projects.find(project => project.name === 'p1');
  const paths = ['/', '/projects/p1', `/projects/${TROUBLED}`, `/projects/${LONG}`];
  paths.push(workflowPath(p1, workflow => workflow.api === 'platform'));
  return { url, paths };
}

// YAML takes JSON as it is.
function configuration(folder, kapso) {
  const urls = { platform_url: `${kapso}/platform/v1`, legacy_url: `${kapso}/api/v1` };
  const projects = [];
  for (let number = 1; number <= 50; number += 1) {
    const key = `key-${number}`;
    const project = { name: `p${number}`, api_key: { file: key }, ...urls, ...peculiar[number] };
    writeFileSync(join(folder, key), project.name === TROUBLED ? 'wrong' : `${KEY}-${number}`);
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
