// What the JavaScript programs have in common, here and in the browser: an error with a cause.

class BankUnreachable extends Error {
    constructor(message) {
        super(message);
        this.name = "BankUnreachable";
    }
}

class PaymentDeclined extends Error {
    constructor(message, options) {
        super(message, options);
        this.name = "PaymentDeclined";
    }
}

function askBank() {
    throw new BankUnreachable("no answer within 3 s");
}

function charge(message) {
    try {
        askBank();
    } catch (cause) {
        console.log(`raised ${Date.now()}`);
        throw new PaymentDeclined(message, { cause }); // it is raised here
    }
}

module.exports = { charge };
