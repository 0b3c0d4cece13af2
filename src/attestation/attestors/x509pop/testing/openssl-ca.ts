/** Certificates by openssl, one call each: what companies' tools would have made, in a folder of the test. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export type KeyKind = keyof typeof KEYS;

export interface MadeCertificate {
  /** Paths of PEM files. */
  readonly pem: string;
  readonly key: string;
}

export interface CertificateOptions {
  readonly subject: string;
  readonly key?: KeyKind;
  /** Another certificate's key again: a renewed or cross-signed CA. */
  readonly keyOf?: MadeCertificate;
  /** Undefined = self-signed. */
  readonly issuer?: MadeCertificate;
  /** Lines of an extension section, and further sections behind them. */
  readonly extensions?: readonly string[];
  readonly serial?: string;
  readonly days?: number;
  /** Further arguments, such as `-sha1` or `-sigopt`. */
  readonly sign?: readonly string[];
}

export interface OpensslCa {
  make(name: string, options: CertificateOptions): MadeCertificate;
  /** A CRL of the issuer, PEM, listing those serial numbers (hex). */
  crl(name: string, issuer: MadeCertificate, options?: CrlOptions): string;
  /** A file of several PEM texts. */
  join(name: string, parts: readonly string[]): string;
  readonly folder: string;
}

export interface CrlOptions {
  readonly revoked?: readonly string[];
  readonly extensions?: readonly string[];
  /** `YYMMDDHHMMSSZ`. */
  readonly thisUpdate?: string;
  readonly nextUpdate?: string;
  readonly sign?: readonly string[];
}

export function createOpensslCa(folder: string): OpensslCa {
  const at = (name: string) => join(folder, name);
  const openssl = (...args: readonly string[]) => {
    execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
  };
  let keys = 0;
  const newKey = (kind: KeyKind) => {
    // RSA keys take long to make, and nothing here depends on them being different.
    const path = kind.startsWith('rsa') ? at(`${kind}-${keys++ % 3}.key`) : at(`key-${keys++}.key`);
    if (!existsSync(path)) openssl('genpkey', ...KEYS[kind], '-out', path);
    return path;
  };
  return {
    folder,
    make(name, { subject, issuer, keyOf, extensions = [], serial = '0x1f', days = 30, sign = [], key = 'ec' }) {
      const keyPath = keyOf?.key ?? newKey(key);
      writeFileSync(at(`${name}.ext`), `[x]\n${extensions.join('\n')}\n`);
      openssl(
        ...['x509', '-new', '-subj', subject, '-set_serial', serial, '-days', `${days}`, '-out', at(`${name}.pem`)],
        ...(issuer
          ? ['-force_pubkey', publicKeyOf(keyPath), '-CA', issuer.pem, '-CAkey', issuer.key]
          : ['-signkey', keyPath]),
        ...(extensions.length > 0 ? ['-extfile', at(`${name}.ext`), '-extensions', 'x'] : []),
        ...sign,
      );
      return { pem: at(`${name}.pem`), key: keyPath };
    },
    crl(
      name,
      issuer,
      { revoked = [], extensions = [], thisUpdate = LONG_AGO, nextUpdate = FAR_AHEAD, sign = [] } = {},
    ) {
      const index = revoked.map((serial) => `R\t${FAR_AHEAD}\t${LONG_AGO}\t${serial.toUpperCase()}\tunknown\t/CN=x\n`);
      writeFileSync(at(`${name}.index`), index.join(''));
      writeFileSync(at(`${name}.number`), '01\n');
      const settings = ['[ca]', 'default_ca=d', '[d]', `database=${at(`${name}.index`)}`, 'default_md=sha256'];
      if (extensions.length > 0) settings.push('crl_extensions=x', '[x]', ...extensions);
      writeFileSync(at(`${name}.cnf`), `${settings.join('\n')}\n`);
      openssl(
        ...['ca', '-gencrl', '-config', at(`${name}.cnf`), '-cert', issuer.pem, '-keyfile', issuer.key],
        ...['-crl_lastupdate', thisUpdate, '-crl_nextupdate', nextUpdate, '-out', at(`${name}.crl.pem`), ...sign],
      );
      return at(`${name}.crl.pem`);
    },
    join(name, parts) {
      writeFileSync(at(name), parts.map((part) => readFileSync(part, 'utf8')).join(''), { mode: 0o644 });
      return at(name);
    },
  };

  function publicKeyOf(keyPath: string): string {
    const path = `${keyPath}.pub`;
    if (!existsSync(path)) openssl('pkey', '-in', keyPath, '-pubout', '-out', path);
    return path;
  }
}

const LONG_AGO = '240101000000Z';
const FAR_AHEAD = '491231235959Z';

const KEYS = {
  ec: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'ec-p384': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  'ec-p521': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
  'ec-secp256k1': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
  ed25519: ['-algorithm', 'ED25519'],
  rsa: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  'rsa-1024': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
  'rsa-pss': ['-algorithm', 'RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048'],
} as const;

/** As OpenSSL writes them when asked, salt as long as the hash. */
export const PSS = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:-1'] as const;
