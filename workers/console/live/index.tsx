import "../style/base.css";
import "../style/chart.css";
import "../style/live.css";
import { mount } from "../shell/shell.tsx";
import { LivePage } from "./live-page.tsx";

mount("live", LivePage);
