/* The scripts of the server-rendered pages. Every page works without them; they spare the reader time. */

import "./style/tokens.css";
import "./style/pages.css";
import { Age } from "./pages/age";
import { Await } from "./pages/await";
import { submitFiltersOnChange } from "./pages/filters";
import { keepFragment } from "./pages/fragment";
import { installKeys } from "./pages/keys";
import { closeMenusOutside } from "./pages/menu";
import { followPendingRows } from "./pages/pending";
import { applyThemeAtOnce } from "./pages/theme";

customElements.define("iain-age", Age);
customElements.define("iain-await", Await);

keepFragment(document, location);
installKeys(document);
closeMenusOutside(document);
applyThemeAtOnce(document);
submitFiltersOnChange(document);
followPendingRows(document);
