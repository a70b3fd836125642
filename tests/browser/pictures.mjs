// Makes the pictures of the pages in docs/ from the demo, once there was traffic for a while.

import { fileURLToPath } from 'node:url';

import { launch } from './support/browser.mjs';
import { demo } from './support/places.mjs';
import { status, stopAll } from './support/program.mjs';

const MINUTES = 5;
const WIDTH = 1200;
const MOST_HEIGHT = 1100;
const PICTURES = [
  { name: 'status', path: '/' },
  { name: 'status-dark', path: '/', colorScheme: 'dark' },
  { name: 'status-project', path: '/projects/default' },
  { name: 'status-workflow', path: '/projects/default/workflows/platform/flow_1' },
];

async function take(browser, url, { name, path, colorScheme = 'light' }) {
  const page = await browser.newPage({ colorScheme, viewport: { width: WIDTH, height: 100 } });
  await page.goto(url + path);
  const clip = { x: 0, y: 0, width: WIDTH, height: await page.evaluate(height, MOST_HEIGHT) };
  const file = fileURLToPath(new URL(`../../docs/${name}.png`, import.meta.url));
  await page.screenshot({ path: file, fullPage: true, clip });
  await page.close();
}

// Runs in the page: all of it, or as many sections and rows as there is room for.
function height(most) {
  const parts = [...document.querySelectorAll('html, section, tr')];
  const ends = parts.map(part => Math.floor(part.getBoundingClientRect().bottom));
  return Math.max(...ends.filter(end => end <= most));
}

const { url } = await demo();
const { uptime_seconds: uptime } = await status(url);
await new Promise(done => setTimeout(done, (MINUTES * 60 - uptime) * 1000));
const browser = await launch();
for (const picture of PICTURES) await take(browser, url, picture);
await browser.close();
stopAll();
