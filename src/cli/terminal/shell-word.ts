/** The text as one word of a command that a reader can paste into a POSIX shell: as it is, or between quotes where the shell would read more into it. */
export function shellWord(text: string): string {
  return PLAIN.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A tilde only means something at the start of a word. */
const PLAIN = /^[A-Za-z0-9%+,./:=@_-][A-Za-z0-9%+,./:=@_~-]*$/;
