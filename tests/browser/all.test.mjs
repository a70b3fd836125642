// All of them in one process, so that the demo and the fifty projects are started once.

import './numbers.mjs';
import './looks.mjs';
import './keyboard.mjs';
import './accessibility.mjs';
