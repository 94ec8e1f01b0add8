import "../style/base.css";
import "../style/support.css";
import "../style/support-list.css";
import { mount } from "../shell/shell.tsx";
import { SupportPage } from "./support-page.tsx";

mount("support", SupportPage);
