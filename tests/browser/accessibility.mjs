// axe-core finds nothing on any page.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';

import { onEveryPage } from './support/browser.mjs';
import { stage } from './support/stage.mjs';

const AXE = createRequire(import.meta.url).resolve('axe-core');

// Each theme once, and each width: a narrow page has its tables cut off, a wide one all of them.
const VIEWS = [{ colorScheme: 'light', width: 1400 }, { colorScheme: 'dark', width: 400 }];

// The policy of the pages forbids scripts, and so axe: it is not in force here.
test('axe finds no fault on any page, contrast included', async () => {
  await onEveryPage(stage, { views: VIEWS, bypassCSP: true }, async (page, url, where) => {
    await page.goto(url);
    await page.addScriptTag({ path: AXE });
    const { faults, contrasts } = await page.evaluate(run, url.includes('refresh='));
    assert.deepEqual(faults, [], where);
    assert.ok(contrasts, where);
  });
});

// Runs in the page. That it reloads by itself is no fault where its reader asked for that. Axe cannot tell the contrast
// of a cell that is cut off or spans rows; others have the same colours.
async function run(reloads) {
  const rules = { 'meta-refresh': { enabled: !reloads } };
  const resultTypes = ['violations', 'incomplete'];
  const { violations, incomplete, passes } = await globalThis.axe.run({ rules, resultTypes });
  const isContrast = rule => rule.id === 'color-contrast';
  const found = [...violations, ...incomplete.filter(rule => !isContrast(rule))];
  const faults = found.map(({ id, help, nodes }) => ({ id, help, nodes: nodes.map(node => node.html) }));
  return { faults, contrasts: passes.some(isContrast) };
}
