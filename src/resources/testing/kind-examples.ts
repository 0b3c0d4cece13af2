/** Specs of a kind, for the suite that all kinds pass: `kinds/<id>/testing/conformance.ts` exports them as `conformance`. */
export interface KindExamples {
  /** Three that are valid, differ, and go together. */
  readonly good: readonly [object, object, object];
  /** Each not valid alone. */
  readonly bad: readonly object[];
  /** Two, each valid alone, that do not go together; absent where any do. */
  readonly clash?: readonly [object, object];
}
