'use strict';
// What can go wrong between a cart and its payment.

class PaymentDeclined extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = 'PaymentDeclined';
  }
}

class CheckoutError extends Error {
  get name() {
    return 'CheckoutError';
  }
}

class Card {
  constructor(number) {
    if (number < 0) throw new RangeError(`card ${number} is none`);
    this.number = number;
  }

  charge() {
    throw new PaymentDeclined(`card ${this.number} declined by issuer (code 51)`);
  }

  static read(text) {
    return new Card(Number(text));
  }

  get limit() {
    return undefined.cents;
  }
}

function charge(number) {
  new Card(number).charge();
}

function nested() {
  try {
    inWords();
  } catch (error) {
    throw new CheckoutError('checkout of cart 4711 failed', { cause: error });
  }
}

function inWords() {
  try {
    JSON.parse('{"amount": twelve}');
  } catch (error) {
    throw new PaymentDeclined('amount is no number', { cause: error });
  }
}

const pause = () => new Promise((done) => setImmediate(done));

async function chargeLater(number) {
  await pause();
  charge(number);
}

async function checkoutLater() {
  await chargeLater(4000);
}

function descend(depth) {
  if (depth === 0) throw new RangeError('no end in sight');
  descend(depth - 1);
}

const scenarios = {
  simple() {
    charge(4000);
  },
  nested,
  asynchronous: checkoutLater,
  async all() {
    await Promise.all([pause(), chargeLater(4001)]);
  },
  async any() {
    await Promise.any([chargeLater(1), chargeLater(2)]);
  },
  aggregate() {
    const errors = [1, 2].map((number) => {
      try {
        charge(number);
      } catch (error) {
        return error;
      }
    });
    throw new AggregateError(errors, 'two of two payments failed');
  },
  constructed() {
    Card.read('-1');
  },
  getter() {
    return new Card(1).limit;
  },
  aliased() {
    const till = { pay: charge };
    till.pay(7);
  },
  closure() {
    [4000].forEach((number) => {
      (() => charge(number))();
    });
  },
  evaluated() {
    eval('(() => {\n  charge(8);\n})()');
  },
  recursion() {
    Error.stackTraceLimit = 60;
    descend(50);
  },
  multiLine() {
    throw new CheckoutError('Zahlung über 47,11 € abgelehnt 💥\n  Grund: 日本語\n\nBitte: noch einmal');
  },
  noMessage() {
    throw new TypeError();
  },
  coded() {
    Buffer.alloc('many');
  },
  generator() {
    const numbers = (function* () {
      yield charge(9);
    })();
    numbers.next();
  },
  top() {
    Error.stackTraceLimit = 200;
    [1].map(String).sort(() => 0).forEach(charge);
  },
};

module.exports = { scenarios };
