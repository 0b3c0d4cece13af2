/** Takes what a promise comes to, on behalf of one session: what fails costs this session only, as `guard` sees to. */
export function takeGuarded<T>(promise: Promise<T>, guard: (act: () => void) => void, take: (value: T) => void): void {
  promise.then(
    (value) => guard(() => take(value)),
    (error: unknown) =>
      guard(() => {
        throw error;
      }),
  );
}
