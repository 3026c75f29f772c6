// Rollbar's client for Node.
const Rollbar = require(process.env.LIVE_PACKAGE);
const { charge } = require("./shop.js");

const rollbar = new Rollbar({
    accessToken: process.env.LIVE_KEY,
    endpoint: `${process.env.LIVE_URL}/api/1/item/`,
    environment: process.env.LIVE_ENVIRONMENT,
    codeVersion: process.env.LIVE_RELEASE,
    payload: { person: { id: "ada-7", email: "ada@shop.example" }, custom: { shelf: "north-7" } },
    verbose: false,
});
rollbar.captureEvent({ message: "basket opened" }, "info");
rollbar.warning(process.env.LIVE_NOTE);
try {
    charge(process.env.LIVE_MESSAGE);
} catch (error) {
    rollbar.error(error);
}
rollbar.wait(() => process.exit());
