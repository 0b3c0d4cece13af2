/**
 * Whether the numbers of a public key are a point that a key can be. Loading the key in OpenSSL would tell as well (but for small orders), and
 * takes ten times as long, for each certificate that is looked at.
 */

export type CurveName = 'P-256' | 'P-384' | 'P-521';

/** True when `point`, the two coordinates one behind the other, lies on the curve and is written with reduced numbers. @see SEC 1 §3.2.2.1 */
export function isOnCurve(curve: CurveName, point: Buffer): boolean {
  const { p, b } = CURVES[curve];
  const half = point.length / 2;
  const x = BigInt(`0x${point.toString('hex', 0, half)}`);
  const y = BigInt(`0x${point.toString('hex', half)}`);
  // All three curves have a = -3 and the cofactor 1: on the curve means in the group.
  return x < p && y < p && (y * y - (x * x - 3n) * x - b) % p === 0n;
}

/**
 * True for the points of Ed25519 whose order is 8 or less, in every spelling. OpenSSL loads them, and anyone can make signatures that such a
 * key verifies. @see RFC 8032 §5.1.7, §8.9
 */
export function isSmallOrderEd25519(key: Buffer): boolean {
  const y = BigInt(`0x${Buffer.from(key).reverse().toString('hex')}`) & ((1n << 255n) - 1n);
  return SMALL_ORDER_Y.has(y % ED25519_P);
}

const hex = (text: string) => BigInt(`0x${text.replaceAll(' ', '')}`);

/** FIPS 186-4 §D.1.2. */
const CURVES: Readonly<Record<CurveName, { readonly p: bigint; readonly b: bigint }>> = {
  'P-256': {
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: hex('5ac635d8 aa3a93e7 b3ebbd55 769886bc 651d06b0 cc53b0f6 3bce3c3e 27d2604b'),
  },
  'P-384': {
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: hex(
      'b3312fa7 e23ee7e4 988e056b e3f82d19 181d9c6e fe814112 0314088f 5013875a c656398d 8a2ed19d 2a85c8ed d3ec2aef',
    ),
  },
  'P-521': {
    p: 2n ** 521n - 1n,
    b: hex(
      '51 953eb961 8e1c9a1f 929a21a0 b68540ee a2da725b 99b315f3 b8b48991 8ef109e1 56193951 ec7e937b 1652c0bd 3bb1bf07 3573df88 3d2c34f1 ef451fd4 6b503f00',
    ),
  },
};

const ED25519_P = 2n ** 255n - 19n;
/** Of order 1, 2, 4 and 8: the sign bit makes eight points of them. */
const SMALL_ORDER_Y: ReadonlySet<bigint> = new Set([
  1n,
  ED25519_P - 1n,
  0n,
  hex('05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826'),
  hex('7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7'),
]);
