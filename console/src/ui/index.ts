/**
 * What pages are made of: buttons, dialogs, tables, times, and how a failure and an empty place are shown.
 *
 * It promises that all of it is reached by keyboard, holds in light and dark and at any width, and that a text of a stranger is shown as the text it is.
 * It must not know the server or any page.
 */

export { AttentionItem } from './attention.tsx';
export { Button, CommandText, IconButton } from './button.tsx';
export { ConfirmDialog, Drawer } from './dialog.tsx';
export { Field, FilterBar, type FilterField, SelectField, TextAreaField, TextField } from './fields.tsx';
export { formatBytes, formatCount, formatDuration, plural } from './format.ts';
export { Icon, type IconName } from './icon.tsx';
export { LiveMark } from './live-mark.tsx';
export { currentMs, useNow } from './now.ts';
export { PageFrame, Panel } from './page-frame.tsx';
export { type Shortcut, shortcuts, singleKeys, useShortcut } from './shortcuts.ts';
export { EmptyState, ErrorPanel, Loading } from './states.tsx';
export { Badge, Facts, Mono, shownText, type Tone } from './text.tsx';
export { type Theme, theme } from './theme.ts';
export { Time, timeStyle } from './time.tsx';
export { ToastRegion, toast } from './toast.tsx';
