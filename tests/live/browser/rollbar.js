// Rollbar's client for browsers, from a page of another origin: its own handler reports what nobody catches.
import Rollbar from "LIVE_PACKAGE";
import shop from "../node/shop.js";

const live = Object.fromEntries(new URLSearchParams(location.search));
const rollbar = new Rollbar({
    accessToken: live.LIVE_KEY,
    endpoint: `${live.LIVE_URL}/api/1/item/`,
    captureUncaught: true,
    environment: live.LIVE_ENVIRONMENT,
    payload: {
        person: { id: "ada-7", email: "ada@shop.example" },
        custom: { shelf: "north-7" },
        client: { javascript: { code_version: live.LIVE_RELEASE } },
    },
});
rollbar.captureEvent({ message: "basket opened" }, "info");
rollbar.warning(live.LIVE_NOTE);
document.querySelector("button").addEventListener("click", () => shop.charge(live.LIVE_MESSAGE));
document.querySelector("button").click();
