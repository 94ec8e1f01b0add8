import "uplot/dist/uPlot.min.css";
import "../style/base.css";
import "../style/chart.css";
import "../style/live.css";
import "../style/live-tiles.css";
import "../style/live-chart.css";
import "../style/live-edit.css";
import { mount } from "../shell/shell.tsx";
import { LivePage } from "./live-page.tsx";

mount("live", LivePage);
