/* The scripts of the server-rendered pages. Every page works without them; they spare the reader time. */

import "./style/tokens.css";
import "./style/pages.css";
import "./style/scanners.css";
import "./style/accounts.css";
import "./style/objections.css";
import "./style/links.css";
import "./style/shares.css";
import { Age } from "./pages/age";
import { Await } from "./pages/await";
import { Bell, offerArrivals } from "./pages/bell";
import { keepDrafts } from "./pages/draft";
import { submitFiltersOnChange } from "./pages/filters";
import { followConsultation } from "./pages/follow";
import { keepFragment } from "./pages/fragment";
import { installKeys } from "./pages/keys";
import { carryLinkKey } from "./pages/linkkey";
import { keepLive } from "./pages/live";
import { closeMenusOutside } from "./pages/menu";
import { followPendingRows } from "./pages/pending";
import { showCurrentPlace } from "./pages/place";
import { applyThemeAtOnce } from "./pages/theme";

customElements.define("iain-age", Age);
customElements.define("iain-await", Await);
customElements.define("iain-bell", Bell);

keepFragment(document, location);
carryLinkKey(document, window);
installKeys(document);
showCurrentPlace(document);
closeMenusOutside(document);
applyThemeAtOnce(document);
submitFiltersOnChange(document);
followPendingRows(document);
keepLive(document);
followConsultation(document);
offerArrivals(document);
keepDrafts(document);
