import { type CertificateOptions, type MadeCertificate, type OpensslCa, PSS } from './openssl-ca.ts';

/** A chain as some company's PKI makes it, and what is thought of it. */
export interface CompanyChain {
  readonly name: string;
  /** What the agent shows: the leaf, then its intermediates, and the leaf's key. */
  readonly shown: MadeCertificate;
  readonly caBundle: string;
  /** 'attests', or what the refusal says. */
  readonly here: 'attests' | RegExp;
  /** What `openssl verify` and Go's crypto/x509 answer where that is not the same. */
  readonly openssl?: 'accepts' | 'refuses';
  readonly go?: 'accepts' | 'refuses';
  /** Why the answers differ; then docs/divergences.md says so too. */
  readonly why?: string;
}

interface Plan extends Omit<CompanyChain, 'name' | 'shown' | 'caBundle'> {
  readonly root?: Change;
  /** From the root down. */
  readonly between?: readonly Change[];
  readonly leaf?: Change;
  /** What is shown behind the leaf, by the place in `between`; all, lowest first, when absent. */
  readonly shows?: readonly number[];
  /** The first intermediate is shown once more, certified by another root, and only that one is in the bundle. */
  readonly crossSigned?: true;
  /** Makes the bundle from the root; only the root when absent. */
  readonly bundle?: (ca: OpensslCa, root: MadeCertificate, name: string) => readonly string[];
}
type Change = Partial<Omit<CertificateOptions, 'issuer' | 'keyOf'>>;

/** Makes every chain of the table. */
export function makeCompanyChains(ca: OpensslCa): CompanyChain[] {
  return Object.entries(PLANS).map(([name, plan], index) => makeChain(ca, { name, plan, prefix: `c${index}` }));
}

function makeChain(ca: OpensslCa, { name, plan, prefix }: { name: string; plan: Plan; prefix: string }): CompanyChain {
  const root = ca.make(`${prefix}-root`, { subject: '/O=ACME/CN=Root', extensions: ROOT, days: 3650, ...plan.root });
  const between: MadeCertificate[] = [];
  for (const [index, change] of (plan.between ?? []).entries()) {
    const issuer = between.at(-1) ?? root;
    const subject = `/O=ACME/CN=Sub ${index + 1}`;
    between.push(ca.make(`${prefix}-sub${index}`, { subject, issuer, extensions: SUB, ...change }));
  }
  const issuer = between.at(-1) ?? root;
  const leaf = ca.make(`${prefix}-leaf`, { subject: '/O=ACME/CN=node', issuer, extensions: LEAF, ...plan.leaf });
  const behind = (plan.shows ?? between.map((_, index) => between.length - 1 - index)).map(
    (at) => between[at]?.pem ?? '',
  );
  const other = ca.make(`${prefix}-other`, { subject: '/O=ACME/CN=Other', extensions: ROOT });
  if (plan.crossSigned) {
    const keyOf = between[0] ?? root;
    behind.push(ca.make(`${prefix}-cross`, { subject: '/O=ACME/CN=Sub 1', keyOf, issuer: other, extensions: SUB }).pem);
  }
  const trusted = plan.bundle?.(ca, root, prefix) ?? [plan.crossSigned ? other.pem : root.pem];
  const { here, openssl, go, why } = plan;
  return {
    ...{ name, here, caBundle: ca.join(`${prefix}-ca.pem`, trusted) },
    shown: { pem: ca.join(`${prefix}-shown.pem`, [leaf.pem, ...behind]), key: leaf.key },
    ...(openssl && { openssl }),
    ...(go && { go }),
    ...(why && { why }),
  };
}

const SKI = 'subjectKeyIdentifier=hash';
const AKI = 'authorityKeyIdentifier=keyid';
const NO_KEY_IDS = ['subjectKeyIdentifier=none', 'authorityKeyIdentifier=none'];
const SIGNS = 'keyUsage=critical,keyCertSign,cRLSign';
const ROOT = ['basicConstraints=critical,CA:TRUE', SIGNS, SKI];
const SUB = ['basicConstraints=critical,CA:TRUE', SIGNS, SKI, AKI];
const LEAF = ['basicConstraints=critical,CA:FALSE', 'keyUsage=critical,digitalSignature', SKI, AKI];
const MINUTE_AGO = -1;
const named = (...names: readonly string[]) => [...LEAF, `subjectAltName=${names.join(',')}`];
const constrained = (constraints: string) => [{ extensions: [...SUB, `nameConstraints=${constraints}`] }];

/** The same name as the root's in another spelling, over the same key. */
const respelled = (subject: string): Pick<Plan, 'bundle'> => ({
  bundle: (ca, root, name) => [
    ca.make(`${name}-respelled`, { subject, keyOf: root, extensions: ROOT, days: 3650 }).pem,
  ],
});

const PLANS: Readonly<Record<string, Plan>> = {
  'a leaf under its root': { here: 'attests' },
  'a leaf under an intermediate': { between: [{}], here: 'attests' },
  'four intermediates': { between: [{}, {}, {}, {}], here: 'attests' },
  'intermediates out of order': { between: [{}, {}, {}], shows: [0, 2, 1], here: 'attests' },
  'an intermediate that has nothing to do with it': {
    between: [{}],
    shows: [0, 0],
    here: 'attests',
  },
  'an intermediate certified by two roots, of which one is trusted': {
    between: [{}, {}],
    crossSigned: true,
    here: 'attests',
    openssl: 'refuses',
    why: 'OpenSSL follows the first issuer that was shown, and does not go back',
  },
  'basicConstraints of the root not critical': {
    root: { extensions: ['basicConstraints=CA:TRUE', SIGNS, SKI] },
    here: 'attests',
  },
  'basicConstraints of an intermediate not critical': {
    between: [{ extensions: ['basicConstraints=CA:TRUE,pathlen:0', SIGNS, SKI, AKI] }],
    here: 'attests',
  },
  'no subject key id in the root': {
    root: { extensions: [...ROOT.slice(0, 2), ...NO_KEY_IDS] },
    leaf: { extensions: [...LEAF.slice(0, 2), ...NO_KEY_IDS] },
    here: 'attests',
  },
  'no key ids at all': {
    root: { extensions: [...ROOT.slice(0, 2), ...NO_KEY_IDS] },
    between: [{ extensions: [...SUB.slice(0, 2), ...NO_KEY_IDS] }],
    leaf: { extensions: [...LEAF.slice(0, 2), ...NO_KEY_IDS] },
    here: 'attests',
  },
  'an authority key id of issuer and serial number': {
    leaf: { extensions: [...LEAF.slice(0, 3), 'authorityKeyIdentifier=issuer:always'] },
    here: 'attests',
  },
  'an authority key id of key, issuer and serial number': {
    between: [{}],
    leaf: { extensions: [...LEAF.slice(0, 3), 'authorityKeyIdentifier=keyid:always,issuer:always'] },
    here: 'attests',
  },
  'no key usage in any CA': {
    root: { extensions: [ROOT[0] ?? '', SKI] },
    between: [{ extensions: [SUB[0] ?? '', SKI, AKI] }],
    here: 'attests',
  },
  'no extensions in the leaf but its key usage': {
    leaf: { extensions: ['keyUsage=digitalSignature'] },
    here: 'attests',
  },
  'CA:FALSE with a path length': {
    leaf: { extensions: ['basicConstraints=CA:FALSE,pathlen:0', ...LEAF.slice(1)] },
    here: 'attests',
  },
  'name constraints not critical': {
    between: constrained('permitted;DNS:acme.example'),
    leaf: { extensions: named('DNS:node.acme.example') },
    here: 'attests',
  },
  'name constraints not critical, and a name outside': {
    between: constrained('permitted;DNS:acme.example'),
    leaf: { extensions: named('DNS:node.other.example') },
    here: /the leaf certificate \(CN=node, O=ACME; serial 1f\) has a name .* \(RFC 5280 §6\.1\.3 \(b\), \(c\)\)/,
  },
  'a DNS constraint with a leading dot': {
    between: constrained('critical,permitted;DNS:.acme.example'),
    leaf: { extensions: named('DNS:node.acme.example', 'DNS:*.site.acme.example') },
    here: 'attests',
  },
  'a DNS constraint with a leading dot, and the domain itself': {
    between: constrained('critical,permitted;DNS:.acme.example'),
    leaf: { extensions: named('DNS:acme.example') },
    here: /the leaf certificate .* has a name/,
  },
  'an excluded domain with a leading dot': {
    between: constrained('critical,excluded;DNS:.acme.example'),
    leaf: { extensions: named('DNS:node.acme.example') },
    here: /the leaf certificate .* has a name/,
  },
  'a constraint on addresses': {
    between: constrained('critical,permitted;IP:10.0.0.0/255.0.0.0'),
    leaf: { extensions: named('IP:10.1.2.3') },
    here: 'attests',
  },
  'an address outside of its constraint': {
    between: constrained('critical,permitted;IP:10.0.0.0/255.0.0.0'),
    leaf: { extensions: named('IP:11.1.2.3') },
    here: /the leaf certificate .* has a name/,
  },
  'a constraint on directory names': {
    between: [{ extensions: [...SUB, 'nameConstraints=critical,permitted;dirName:d', '[d]', 'O=ACME'] }],
    here: 'attests',
    go: 'refuses',
    why: 'Go does not know constraints on directory names, and refuses them when they are critical',
  },
  'a constraint on directory names in another case': {
    between: [{ extensions: [...SUB, 'nameConstraints=critical,permitted;dirName:d', '[d]', 'O=acme'] }],
    here: 'attests',
    go: 'refuses',
    why: 'Go does not know constraints on directory names, and refuses them when they are critical',
  },
  'a directory name outside of its constraint': {
    between: [{ extensions: [...SUB, 'nameConstraints=critical,permitted;dirName:d', '[d]', 'O=Other'] }],
    here: /the leaf certificate .* has a name/,
  },
  'an excluded directory name in another spelling': {
    between: [{ extensions: [...SUB, 'nameConstraints=critical,excluded;dirName:d', '[d]', 'O=ac me'] }],
    here: /the leaf certificate .* has a name/,
    openssl: 'accepts',
    why: 'what is excluded is compared without regard to spaces inside too',
  },
  'critical certificate policies': {
    between: [{ extensions: [...SUB, 'certificatePolicies=critical,1.2.3.4'] }],
    leaf: { extensions: [...LEAF, 'certificatePolicies=critical,1.2.3.4'] },
    here: 'attests',
  },
  'policies that a CA demands': {
    between: [
      {
        extensions: [
          ...SUB,
          'certificatePolicies=1.2.3.4,1.2.3.5',
          'policyConstraints=critical,requireExplicitPolicy:0',
        ],
      },
    ],
    leaf: { extensions: [...LEAF, 'certificatePolicies=1.2.3.5'] },
    here: 'attests',
  },
  'policies that a CA demands and the leaf has not': {
    between: [
      { extensions: [...SUB, 'certificatePolicies=1.2.3.4', 'policyConstraints=critical,requireExplicitPolicy:0'] },
    ],
    leaf: { extensions: [...LEAF, 'certificatePolicies=1.2.3.5'] },
    here: /the leaf certificate .* none is valid \(RFC 5280 §6\.1\.3 \(f\), §6\.1\.5 \(g\)\)/,
    openssl: 'accepts',
    why: 'OpenSSL looks at policies only when it is told to',
  },
  'any policy, inhibited below': {
    between: [
      {
        extensions: [
          ...SUB,
          'certificatePolicies=1.2.3.4',
          'policyConstraints=critical,requireExplicitPolicy:0',
          'inhibitAnyPolicy=critical,0',
        ],
      },
    ],
    leaf: { extensions: [...LEAF, 'certificatePolicies=2.5.29.32.0'] },
    here: /none is valid/,
    openssl: 'accepts',
    why: 'OpenSSL looks at policies only when it is told to',
  },
  'inhibited any policy that nobody needs': {
    between: [{ extensions: [...SUB, 'inhibitAnyPolicy=critical,0'] }],
    here: 'attests',
  },
  RSA: { root: { key: 'rsa' }, between: [{ key: 'rsa' }], leaf: { key: 'rsa' }, here: 'attests' },
  'RSA-PSS signatures': {
    root: { key: 'rsa', sign: PSS },
    between: [{ key: 'rsa', sign: PSS }],
    leaf: { key: 'rsa', sign: [...PSS, '-sha384'] },
    here: 'attests',
  },
  'RSA-PSS with a salt of another length': {
    root: { key: 'rsa' },
    leaf: { sign: ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:20'] },
    here: 'attests',
    go: 'refuses',
    why: 'Go takes RSA-PSS only with a salt as long as the hash; OpenSSL writes longer ones by default',
  },
  'an RSA-PSS key in a CA': {
    root: { key: 'rsa-pss' },
    here: 'attests',
    go: 'refuses',
    why: 'Go does not know keys that are for RSA-PSS alone',
  },
  'an RSA-PSS key in the leaf': {
    leaf: { key: 'rsa-pss' },
    here: 'attests',
  },
  'RSA, ECDSA and Ed25519 mixed': {
    root: { key: 'rsa' },
    between: [{ key: 'ed25519' }, { key: 'ec-p521' }, { key: 'ec-p384' }],
    here: 'attests',
  },
  'serial number 0 in the root': { root: { serial: '0' }, here: 'attests' },
  'serial number 0 on one root of two': {
    bundle: (ca, root, name) => [
      ca.make(`${name}-other`, { subject: '/CN=Old', extensions: ROOT, serial: '0' }).pem,
      root.pem,
    ],
    here: 'attests',
  },
  'a root that can not be used among others': {
    bundle: (ca, root, name) => [ca.make(`${name}-v1`, { subject: '/CN=Ancient' }).pem, root.pem],
    here: 'attests',
  },
  'a root signed with SHA-1, which does not matter': { root: { sign: ['-sha1'] }, here: 'attests' },
  'an intermediate signed with SHA-1': {
    between: [{ sign: ['-sha1'] }],
    here: /certificate 1 above the leaf \(CN=Sub 1, O=ACME; serial 1f\) is signed by an algorithm that is not allowed/,
    openssl: 'accepts',
    why: 'OpenSSL takes SHA-1 at its default level of security',
  },
  'a root renewed with its name in another case': {
    ...respelled('/O=acme/CN=ROOT'),
    here: 'attests',
    go: 'refuses',
    why: 'Go compares names by their bytes',
  },
  'a root renewed with more spaces in its name': {
    ...respelled('/O=ACME/CN= Root '),
    here: 'attests',
    go: 'refuses',
    why: 'Go compares names by their bytes',
  },
  'a root of another name over the same key': {
    ...respelled('/O=ACME/CN=Root 2'),
    here: /the leaf certificate .* was issued by CN=Root, O=ACME with the key id [0-9a-f]{40}, which is neither trusted nor was shown/,
  },
  'an expired root beside its renewal': {
    bundle: (ca, root, name) => [
      ca.make(`${name}-old`, { subject: '/O=ACME/CN=Root', keyOf: root, extensions: ROOT, days: MINUTE_AGO }).pem,
      root.pem,
    ],
    here: 'attests',
  },
  'an expired root': {
    root: { days: MINUTE_AGO },
    here: /certificate 1 above the leaf \(.*\) has expired \(RFC 5280 §6\.1\.3 \(a\)\(2\)\)/,
  },
  'an expired intermediate': {
    between: [{ days: MINUTE_AGO }],
    here: /certificate 1 above the leaf \(CN=Sub 1, O=ACME; serial 1f\) has expired/,
  },
  'an expired leaf': {
    leaf: { days: MINUTE_AGO },
    here: /the leaf certificate \(CN=node, O=ACME; serial 1f\) has expired/,
  },
  'an intermediate that was not shown': {
    between: [{}, {}],
    shows: [1],
    here: /certificate 1 above the leaf \(CN=Sub 2.*\) was issued by CN=Sub 1, O=ACME/,
  },
  'an intermediate that is no CA': {
    between: [{ extensions: ['basicConstraints=CA:FALSE', SKI, AKI] }],
    here: /certificate 1 above the leaf .* is no CA by its basicConstraints/,
  },
  'a CA that may sign no certificates': {
    between: [{ extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,cRLSign', SKI, AKI] }],
    here: /certificate 1 above the leaf .* key usage/,
  },
  'a path longer than a CA allows': {
    root: { extensions: ['basicConstraints=critical,CA:TRUE,pathlen:0', SIGNS, SKI] },
    between: [{}],
    here: /certificate 2 above the leaf .* has too many certificates below it \(RFC 5280 §6\.1\.4 \(l\), \(m\)\)/,
  },
  'a critical extension that nobody knows': {
    leaf: { extensions: [...LEAF, '1.2.3.4.5=critical,ASN1:NULL'] },
    here: /the leaf certificate .* has critical extensions that are not understood: 1\.2\.3\.4\.5 \(RFC 5280 §6\.1\.4 \(o\)\)/,
  },
  'an extension that nobody knows': { leaf: { extensions: [...LEAF, '1.2.3.4.5=ASN1:NULL'] }, here: 'attests' },
  'an RSA key of 1024 bits in a CA': {
    between: [{ key: 'rsa-1024' }],
    here: /certificate 1 above the leaf .* has a key that is not allowed/,
    openssl: 'accepts',
    go: 'accepts',
    why: 'RSA keys have 2048 bits at least here',
  },
  'a curve of Bitcoin': {
    between: [{ key: 'ec-secp256k1' }],
    here: /certificate 1 above the leaf .* has a key that is not allowed/,
    openssl: 'accepts',
    why: 'as Go: only the curves of NIST',
  },
  'extended key usage for something else': {
    between: [{ extensions: [...SUB, 'extendedKeyUsage=serverAuth'] }],
    leaf: { extensions: [...LEAF, 'extendedKeyUsage=emailProtection'] },
    here: 'attests',
  },
};
