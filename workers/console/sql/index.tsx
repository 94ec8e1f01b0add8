import "uplot/dist/uPlot.min.css";
import "../style/base.css";
import "../style/sql.css";
import "../style/sql-grid.css";
import "../style/chart.css";
import "../style/sql-chart.css";
import "../style/sql-plan.css";
import "../style/sql-side.css";
import "../style/sql-keys.css";
import { mount } from "../shell/shell.tsx";
import { SqlPage } from "./sql-page.tsx";

mount("sql", SqlPage);
