/** The price of an item in cents – a € has a hundred. */
export function readPrice(item) {
  return Math.round(item.price * 100);
}
