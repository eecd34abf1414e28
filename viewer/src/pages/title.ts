/** The title of the tab with what is unread before it, so that it shows among other tabs. */
export function titleWith(unread: number, title: string): string {
  return unread === 0 ? title : `(${unread}) ${title}`;
}
