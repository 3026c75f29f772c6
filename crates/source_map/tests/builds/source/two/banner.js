export function showBanner(text, size, colour) {
  const padded = text.padStart(size);
  return { padded, colour, at: Date.now() };
}
export function hideBanner(banner) {
  return { ...banner, hidden: true };
}
