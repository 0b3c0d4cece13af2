import { createRoot } from 'react-dom/client';
import { App } from './app/app.tsx';
import { applyTheme } from './ui/theme.ts';
import './styles.css';

applyTheme();
const place = document.getElementById('root');
if (place !== null) createRoot(place).render(<App />);
