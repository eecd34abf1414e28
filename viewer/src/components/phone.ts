/** Whether the window is as narrow as a telephone's; the style sheets say the same. */
export const onPhone = (): boolean => window.matchMedia("(max-width: 640px)").matches;
