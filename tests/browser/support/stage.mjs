// What each file of tests needs: a browser, the demo and fifty projects.

import { after, before } from 'node:test';

import { launch } from './browser.mjs';
import { demo, fifty } from './places.mjs';
import { stopAll } from './program.mjs';

/** Is there once the first test begins. */
export const stage = {};

before(async () => {
  stage.places = await Promise.all([demo(), fifty()]);
  stage.browser = await launch();
});

after(async () => {
  await stage.browser?.close();
  stopAll();
});
