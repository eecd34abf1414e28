/** Entry of the viewer page: registers `<iain-viewer>` and keeps the page's banner true to the slide shown. */

import "./style/viewer.css";
import type { SlideDescription } from "./api/slides";
import "./components/viewer";
import { showInBanner } from "./pages/banner";

document.addEventListener("slide-shown", (event) => showInBanner((event as CustomEvent<SlideDescription>).detail));
