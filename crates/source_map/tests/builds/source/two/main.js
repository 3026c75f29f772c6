import { hideBanner, showBanner } from "./banner.js";
import { payForCart } from "./cart.js";

const greeting = "🛒 ready";
const banners = [];

function onCheckout(cart) {
  return payForCart(cart);
}

globalThis.banners = { hideBanner, showBanner, banners };
globalThis.checkout = onCheckout;
globalThis.greeting = greeting;
