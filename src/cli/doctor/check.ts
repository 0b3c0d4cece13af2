/** One thing that `doctor` looked at. `odd` works, but differently from what is wanted; `remedy` says what to do. */
export interface Check {
  readonly what: string;
  readonly state: 'good' | 'odd' | 'wrong';
  readonly found: string;
  readonly remedy?: string;
}
