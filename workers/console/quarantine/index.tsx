import "../style/base.css";
import "../style/quarantine.css";
import { mount } from "../shell/shell.tsx";
import { QuarantinePage } from "./quarantine-page.tsx";

mount("quarantine", QuarantinePage);
