/**
 * One spelling for all names that some reader may take for the same: in compatibility form (NFKD), without case (also U+017F for s and
 * U+212A for k, as Go's encoding/json compares), and cut at a NUL, where readers in C end a text. Folds too much rather than too little:
 * the dotless i counts as an i, and an iota stands before the marks around it, since one below a letter moves when case makes it a letter.
 * @see UAX #15; Unicode §3.13 default caseless matching
 */
export function foldName(name: string): string {
  const nul = name.indexOf('\0');
  const whole = nul === -1 ? name : name.slice(0, nul);
  if (ASCII.test(whole)) return whole.toLowerCase();
  // Compatibility forms have case and case mappings leave what is not normal, so each is done until neither changes anything.
  let folded = whole;
  for (let round = 0; round < 3; round++) {
    const before = folded;
    // Lower first: capital sharp s has no upper case but its own.
    folded = folded.normalize('NFKD').toLowerCase().toUpperCase().toLowerCase();
    if (folded === before) break;
  }
  return folded.normalize('NFKD').replace(IOTA_AMID_MARKS, iotasFirst).normalize('NFKD');
}

function iotasFirst(run: string): string {
  const marks = run.replaceAll('ι', '');
  return 'ι'.repeat(run.length - marks.length) + marks;
}

const ASCII = /^[\0-\x7f]*$/;
const IOTA_AMID_MARKS = /[\p{M}ι]+/gu;
