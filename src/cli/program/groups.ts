/** What `--help` says of a group of commands. */
export interface GroupWords {
  /** One sentence. */
  readonly summary: string;
  /** Lines that a reader can paste. */
  readonly examples: readonly string[];
}

/** Groups by their word. */
export const groups: Readonly<Record<string, GroupWords>> = {
  access: {
    summary: 'Who may do what with the server itself.',
    examples: ['countersign access show', 'countersign access apply -f ./access --dry-run'],
  },
  bundle: {
    summary: 'CA certificates that verify all identities of the server.',
    examples: ['countersign bundle show > bundle.pem'],
  },
  entry: {
    summary: 'Registration entries, by which processes get identities.',
    examples: [
      'countersign entry list',
      'countersign entry create --spiffe-id spiffe://example.org/web --parent-id spiffe://example.org/countersign/nodes --selector unix:user:web',
    ],
  },
  ledger: {
    summary: 'What was asked, by whom and under which policy, on record.',
    examples: ['countersign ledger tail --follow', 'countersign ledger search --kind denial --since 1d'],
  },
  approval: {
    summary: 'Operations that wait for an answer.',
    examples: ['countersign approval list', 'countersign approval show 5f3a09c1'],
  },
  hold: {
    summary: 'What the record keeps whatever its age.',
    examples: ['countersign hold list', 'countersign hold add case-7 --session 5f3a09c1 --why "claim 7"'],
  },
  node: {
    summary: 'Machines whose agents have attested.',
    examples: ['countersign node list', 'countersign node token --ttl 1h'],
  },
  policy: {
    summary: 'Who may do what, under which masks and limits.',
    examples: ['countersign policy who-can select shop/public.customers', 'countersign policy test ./countersign.d'],
  },
  record: {
    summary: 'Ledgers of all gateways and servers, in one place.',
    examples: ['countersign record search --kind denial --since 1d', 'countersign record logs'],
  },
  resource: {
    summary: 'Declared resources of any kind.',
    examples: ['countersign resource list', 'countersign resource show target orders'],
  },
  revocation: {
    summary: 'What counts no more, and where that is in effect.',
    examples: ['countersign revocation list', 'countersign revocation add --who /shop/web --reason "leaked key"'],
  },
  session: {
    summary: 'What runs through gateways now.',
    examples: ['countersign session list', 'countersign session end --who /shop/web --reason "leaked key"'],
  },
  'sign-in': {
    summary: 'People who have signed in at servers.',
    examples: ['countersign sign-in list', 'sudo countersign sign-in link'],
  },
  svid: {
    summary: 'The identity of the process that asks for it.',
    examples: ['countersign svid show', 'countersign svid fetch --dir ~/.countersign/svid'],
  },
  target: {
    summary: 'Databases that gateways lead to, and secrets to log in with.',
    examples: ['countersign target list', 'countersign target secret orders-password < password.txt'],
  },
};
