/** What one session may ask for and leave behind. */

/** Names, parameter types and header around a text. */
export const textOverheadBytes = 64 * 1024;
export const longTriesMax = 5;
/** Requests sent and not answered; beyond it the client has to wait. */
export const repliesMax = 10_000;
/** Names that a snapshot was taken for in one transaction; beyond it each takes one again. */
export const soughtMax = 1_000;
/** Twice the bytes of Latin text. */
export const statementsBytesMax = 16 * 1024 * 1024;
export const portalsMax = 1_000;
/** As much again may come with one more message. */
export const portalsBytesMax = 64 * 1024 * 1024;
/** Read behind an operation that waits for people. */
export const behindBytesMax = 64 * 1024;
