export function echo(text) {
  return text;
}
