'use strict';
// Ends as node ends what nobody caught.
const { scenarios } = require('./shop');

scenarios.nested();
