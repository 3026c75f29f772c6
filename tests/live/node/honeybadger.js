// Honeybadger's client for Node. It knows no port: it sends to port 80, whatever the endpoint says.
const Honeybadger = require(process.env.LIVE_PACKAGE);
const { charge } = require("./shop.js");

Honeybadger.configure({
    apiKey: process.env.LIVE_KEY,
    endpoint: process.env.LIVE_URL_80,
    environment: process.env.LIVE_ENVIRONMENT,
    revision: process.env.LIVE_RELEASE,
    logger: { log() {}, info() {}, debug() {}, warn() {}, error: console.error },
    // What nobody catches is reported; the program may then end.
    afterUncaught: () => process.exit(),
});
Honeybadger.setContext({ user_id: "ada-7", user_email: "ada@shop.example", shelf: "north-7", tags: "stock" });
Honeybadger.addBreadcrumb("basket opened", { category: "custom", metadata: { items: 3 } });
Honeybadger.notifyAsync(process.env.LIVE_NOTE).then(() => setImmediate(() => charge(process.env.LIVE_MESSAGE)));
